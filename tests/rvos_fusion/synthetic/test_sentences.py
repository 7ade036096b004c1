"""Truth of expressions, judged on hand-made scenes where every answer is known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_scenes import BALL, scene, thing

from rvos_fusion.synthetic.appearance import Look
from rvos_fusion.synthetic.language.sentences import Sentence, candidates, write_sentences
from rvos_fusion.synthetic.scenes import Scene, sample_scene


def texts(of: Scene, index: int, kind: str) -> set[str]:
    random = np.random.default_rng(0)
    return {sentence.text for sentence in candidates(of, index, random) if sentence.kind == kind}


def test_twins_have_no_expression_by_appearance() -> None:
    twins = scene(thing(BALL, 80, 30, motion="left"), thing(BALL, 80, 90, motion="right"), thing(BALL, 200, 60))
    assert all(not texts(twins, index, "appearance") for index in range(3))


def test_twins_are_told_apart_by_motion() -> None:
    twins = scene(thing(BALL, 80, 30, motion="left"), thing(BALL, 80, 90, motion="right"))
    assert "the red circle moving left" in texts(twins, 0, "motion") | {
        text.replace("ball", "circle") for text in texts(twins, 0, "motion")
    }
    assert not any("right" in text for text in texts(twins, 0, "motion"))


def test_growing_twin_forbids_to_say_that_the_other_stands_still() -> None:
    growing = thing(BALL, 40, 60, motion="grow")
    assert texts(scene(thing(BALL, 100, 60), thing(BALL, 180, 60, motion="left")), 0, "motion")
    assert not texts(scene(thing(BALL, 100, 60), growing), 0, "motion")


def test_a_shared_colour_alone_describes_nobody() -> None:
    box = replace(BALL, shape="square")
    said = texts(scene(thing(BALL, 50, 60), thing(box, 150, 60)), 0, "appearance")
    assert said
    assert all("circle" in text or "ball" in text for text in said)


def test_place_holds_in_every_frame_or_is_not_said() -> None:
    apart = scene(thing(BALL, 40, 60), thing(BALL, 120, 60))
    assert any("left" in text for text in texts(apart, 0, "place"))
    crossing = scene(thing(BALL, 80, 60, motion="right"), thing(BALL, 110, 60))
    assert not texts(crossing, 0, "place")


def test_relation_names_a_unique_anchor_and_excludes_rivals() -> None:
    star = Look("star", "blue", "plain", "medium")
    said = texts(scene(thing(BALL, 40, 60), thing(BALL, 190, 60), thing(star, 110, 60)), 0, "relation")
    assert any(" left of the " in text for text in said)
    assert not any("right" in text for text in said)
    both_left = scene(thing(BALL, 30, 20), thing(BALL, 70, 100), thing(star, 190, 60))
    assert not any(" left of the " in text for text in texts(both_left, 0, "relation"))


def test_sizes_are_compared_only_when_clearly_unequal() -> None:
    big, small = thing(BALL, 50, 60, radius=20), thing(BALL, 150, 60, radius=12)
    assert any("bigger" in text for text in texts(scene(big, small), 0, "relation"))
    near = thing(BALL, 150, 60, radius=18)
    assert not any("bigger" in text for text in texts(scene(big, near), 0, "relation"))


def test_one_thing_without_two_sentences_refuses_the_scene() -> None:
    assert write_sentences(scene(thing(BALL, 100, 60), thing(BALL, 103, 61)), np.random.default_rng(0)) is None


@pytest.mark.parametrize("seed", range(12))
def test_pairs_use_different_templates(seed: int) -> None:
    random = np.random.default_rng(seed)
    sampled = sample_scene(random)
    sentences = (sampled and write_sentences(sampled, random)) or []
    pairs: list[tuple[Sentence, Sentence]] = list(zip(sentences[::2], sentences[1::2], strict=True))
    assert all(first.template != second.template and first.thing == second.thing for first, second in pairs)
