"""Falsehood of expressions about things that are there, judged on hand-made scenes and on drawn videos."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from small_scenes import BALL, scene, thing

from rvos.errors import InputError
from rvos.formats import open_dataset
from rvos_fusion.synthetic.language import sentences, several
from rvos_fusion.synthetic.language.negatives import WRONGS, candidates, write_falsehood
from rvos_fusion.synthetic.language.vocabulary import WORDS
from rvos_fusion.synthetic.scenes import Scene
from rvos_fusion.synthetic.synthesis import make_video
from rvos_fusion.synthetic.writers.mevis import write_mevis

STAR = replace(BALL, shape="star")
BLUE = replace(BALL, colour="blue")
TEXTS_OF_BEFORE = "54d4aefe62717cd6"
"""Checksum of what was written of seed 3 and four videos before there were hard ones."""


def say(of: Scene, wrong: str) -> set[str]:
    """All that is falsely said of a scene; several draws, since things have several names."""
    drawn = {one for seed in range(6) for one in candidates(of, np.random.default_rng(seed))}
    return {one.text for one in drawn if one.wrong == wrong}


def test_a_wrong_direction_is_the_contrary_of_what_a_thing_does_and_no_other_of_the_name_does_it() -> None:
    said = say(scene(thing(STAR, 150, 20, motion="left"), thing(BALL, 40, 90, motion="right")), "direction")
    assert {"the star moving right", "the ball moving left"} <= said
    assert not {"the star moving left", "the star moving up", "the object moving right"} & said
    assert not say(scene(thing(STAR, 150, 20), thing(BALL, 40, 90)), "direction")
    # It goes to the left on its way back.
    back = scene(thing(STAR, 150, 20, motion="left"), thing(STAR, 40, 90, motion="return-right"))
    assert not any("star" in text for text in say(back, "direction"))


def test_a_wrong_count_is_larger_than_what_is_there() -> None:
    said = say(scene(thing(STAR, 40, 20), thing(STAR, 150, 90), thing(BALL, 40, 90)), "count")
    assert {"the three stars", "the four stars", "the two balls", "the four red objects"} <= said
    assert not {"the two stars", "the three red objects"} & said


def test_a_wrong_order_is_what_happens_backwards() -> None:
    said = say(scene(thing(STAR, 40, 20, motion="leave-left"), thing(BALL, 150, 90, motion="grow")), "order")
    assert {"the star that comes into view", "the shrinking ball"} <= said
    assert not {"the star that goes out of view", "the growing ball"} & said


def test_a_wrong_relation_has_all_of_the_name_on_the_other_side() -> None:
    said = say(scene(thing(STAR, 20, 60), thing(BLUE, 110, 60), thing(BALL, 190, 60)), "relation")
    assert "the star right of the blue ball" in said or "the star right of the blue object" in said
    assert not any(text.startswith("the star left of") for text in said)
    both = scene(thing(STAR, 20, 60), thing(BLUE, 110, 60), thing(STAR, 190, 60))
    assert not any(text.startswith(("the star left", "the star right")) for text in say(both, "relation"))


def test_a_wrong_attribute_is_one_of_another_thing() -> None:
    said = say(scene(thing(STAR, 20, 60), thing(BLUE, 110, 60)), "attribute")
    assert {"the blue star", "a red ball"} <= {text.replace("circle", "ball") for text in said}
    assert not {"the red star", "the blue ball", "the green star"} & said
    alike = say(scene(thing(STAR, 20, 60), thing(STAR, 110, 60)), "attribute")
    assert "the green star" in alike


@pytest.mark.parametrize("index", range(8))
def test_nothing_false_is_ever_true_and_all_words_are_known(index: int) -> None:
    video = make_video(11, index)
    true = {
        one.text
        for seed in range(8)
        for one in (
            *(
                one
                for place in range(len(video.scene.things))
                for one in sentences.candidates(video.scene, place, np.random.default_rng(seed))
            ),
            *several.candidates(video.scene, np.random.default_rng(seed)),
        )
    }
    false = {one.text for seed in range(8) for one in candidates(video.scene, np.random.default_rng(seed))}
    assert len(false) > 20
    assert not false & true
    assert {word for text in false for word in text.split()} <= set(WORDS)


def test_the_rarest_sort_is_written_and_nothing_twice() -> None:
    video, counts, said = make_video(11, 0), dict.fromkeys(WRONGS, 0), list[str]()
    for _ in range(10):
        found = write_falsehood(video.scene, np.random.default_rng(0), counts=counts, said=said)
        assert found is not None
        said.append(found.text)
    assert len(set(said)) == 10
    assert sum(counts.values()) == 10
    possible = {one.wrong for one in candidates(video.scene, np.random.default_rng(0))}
    assert max(counts[one] for one in possible) - min(counts[one] for one in possible) <= 1


def test_half_of_the_sentences_without_target_are_such_a_fifth_each(tmp_path: Path) -> None:
    write_mevis(tmp_path, seed=3, n_videos=12, no_target=0.4)
    videos = open_dataset("mevis", tmp_path, "valid_u").videos
    kinds = Counter(one.kind for video in videos for one in video.expressions if not one.has_target)
    hard = {one: kinds[f"wrong {one}"] for one in WRONGS}
    assert set(kinds) == {"absent", *(f"wrong {one}" for one in WRONGS)}
    assert abs(sum(hard.values()) - kinds["absent"]) <= 1
    assert max(hard.values()) - min(hard.values()) <= 2


def test_without_hard_ones_the_sentences_are_those_of_before(tmp_path: Path) -> None:
    write_mevis(tmp_path / "a", seed=3, n_videos=4, no_target=0.3, hard=0.0)
    videos = open_dataset("mevis", tmp_path / "a", "valid_u").videos
    without = [one for video in videos for one in video.expressions if not one.has_target]
    assert {one.kind for one in without} == {"absent"}
    texts = "\n".join(one.text for one in without)
    assert sha256(texts.encode()).hexdigest().startswith(TEXTS_OF_BEFORE)


def test_an_impossible_share_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"hard 1\.5"):
        write_mevis(tmp_path, seed=3, n_videos=1, hard=1.5)
