"""What `rvos segment` says of the bundled networks: words that they never saw, scores that they do not have."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rvos.masks.mask_sequences import MaskSequence, encode
from rvos.videos import Expression
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.weights.bundled_networks import ADVICE, explain, find_bundled, find_unknown_words, find_unsure

ROOT = Path(__file__).parents[3]


def scored(expression: str, *scores: float) -> MaskSequence:
    frames = tuple(f"{place:05d}" for place in range(len(scores)))
    runs = encode(np.ones((len(scores), 2, 2), np.bool_))
    return MaskSequence("clip", expression, frames, (2, 2), runs, np.array(scores, np.float32))


def test_the_demo_recipe_has_bundled_members_and_others_have_none() -> None:
    assert set(find_bundled(read_recipe(ROOT / "pipeline.yaml").nodes)) == {"soc", "mutr", "referformer", "uninext"}
    assert find_bundled(read_recipe(ROOT / "recipes" / "paper.yaml").nodes) == {}


def test_a_detector_of_nouns_answers_no_sentence() -> None:
    assert set(find_bundled(read_recipe(ROOT / "recipes" / "demo_refinement.yaml").nodes)) == {"coarse"}


def test_every_bundled_network_that_reads_sentences_has_its_usual_score() -> None:
    recipes = [ROOT / "pipeline.yaml", *(ROOT / "recipes").glob("demo_*.yaml")]
    for node in (node for path in recipes for node in read_recipe(path).nodes if node.keyword == "runner"):
        assert find_bundled([node])


def test_words_are_known_whatever_their_case_and_marks() -> None:
    texts = ("The RED ball, moving left!", "a dog's tail", "a dog")
    expressions = [Expression(str(place), text) for place, text in enumerate(texts)]
    assert find_unknown_words(expressions) == ["dog", "s", "tail"]
    assert find_unknown_words(expressions[:1]) == []


@pytest.mark.parametrize(
    ("scores", "is_unsure"),
    [((0.2, 0.3, 0.9), True), ((0.2, 0.8, 0.9), False), ((0.6, 0.7, 0.9), False)],
    ids=["two of three low", "one of three low", "none low"],
)
def test_a_sentence_is_doubtful_where_most_networks_score_low(scores: tuple[float, ...], is_unsure: bool) -> None:
    members = {name: {"0": scored("0", 0.1, score)} for name, score in zip("abc", scores, strict=True)}
    found = find_unsure([Expression("0", "it")], members, dict.fromkeys("abc", 0.5))
    assert [one.id for one in found] == (["0"] if is_unsure else [])


def test_the_advice_is_given_once_and_only_with_a_reason() -> None:
    assert list(explain([], [])) == []
    unknown, unsure, advice = explain([f"word{place}" for place in range(8)], [Expression("0", "it")])
    assert unknown.endswith("word4, word5 and 2 more")
    assert unsure.startswith("“it”: scores below")
    assert advice == ADVICE
