"""Truth of expressions about several things, judged on hand-made scenes and on drawn videos."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from small_scenes import BALL, scene, thing

from rvos_fusion.synthetic.language.several import GroupSentence, candidates, write_group_sentences
from rvos_fusion.synthetic.language.vocabulary import WORDS
from rvos_fusion.synthetic.scenes import Scene
from rvos_fusion.synthetic.synthesis import make_video

STAR = replace(BALL, shape="star")


def sentences(of: Scene, kind: str = "") -> set[GroupSentence]:
    """All that is said of a scene; several draws, since things have several names."""
    drawn = {sentence for seed in range(6) for sentence in candidates(of, np.random.default_rng(seed))}
    return {sentence for sentence in drawn if not kind or sentence.kind == kind}


def test_looks_are_said_in_the_plural_of_all_that_have_them() -> None:
    striped = replace(BALL, texture="striped")
    said = sentences(scene(thing(striped, 40, 30), thing(striped, 40, 90), thing(STAR, 180, 60)), "appearance")
    of_balls = {sentence.text for sentence in said if sentence.things == {0, 1}}
    assert {"the two striped balls", "both circles", "all balls with stripes", "every striped ball"} & of_balls
    everything = {sentence.things for sentence in said if sentence.text in ("all red objects", "the three red things")}
    assert everything == {frozenset({0, 1, 2})}


def test_those_that_move_alike_are_meant_and_others_of_the_name_are_not() -> None:
    mixed = scene(
        thing(STAR, 150, 20, motion="left"),
        thing(STAR, 150, 70, motion="left"),
        thing(STAR, 40, 110),
        thing(BALL, 60, 60),
    )
    said = [sentence for sentence in sentences(mixed, "motion") if "star" in sentence.text]
    assert {sentence.things for sentence in said} == {frozenset({0, 1})}
    assert any(sentence.text.startswith("every ") and "stars" not in sentence.text for sentence in said)
    assert all("left" in sentence.text for sentence in said)


def test_a_growing_one_forbids_to_speak_of_those_that_stand_still() -> None:
    growing = scene(thing(STAR, 40, 30), thing(STAR, 40, 100), thing(STAR, 180, 60, motion="grow"))
    assert not any("still" in sentence.text or "not move" in sentence.text for sentence in sentences(growing))


def test_verbs_agree_with_the_number() -> None:
    mixed = scene(thing(STAR, 150, 20, motion="left"), thing(STAR, 150, 70, motion="left"), thing(STAR, 40, 110))
    texts = {sentence.text for sentence in sentences(mixed, "motion")}
    assert all((" goes " in text or " moves " in text) <= text.startswith("every ") for text in texts)
    assert all((" go " in text or " move " in text) <= (not text.startswith("every ")) for text in texts)


def test_a_side_of_an_anchor_holds_for_all_that_are_meant_and_for_no_other() -> None:
    blue = replace(BALL, colour="blue")
    row = scene(thing(STAR, 20, 60), thing(STAR, 60, 60), thing(blue, 110, 60), thing(STAR, 190, 60))
    said = [sentence for sentence in sentences(row, "relation") if " left of the " in sentence.text]
    assert said
    assert {sentence.things for sentence in said} == {frozenset({0, 1})}
    beside = scene(thing(STAR, 20, 60), thing(STAR, 113, 20), thing(blue, 110, 60), thing(STAR, 190, 60))
    assert not any(" left of the " in sentence.text for sentence in sentences(beside, "relation"))


def test_the_two_outermost_are_clearly_farther_out_than_the_rest() -> None:
    row = scene(thing(STAR, 20, 60), thing(STAR, 60, 60), thing(STAR, 190, 60))
    leftmost = {sentence.things for sentence in sentences(row, "place") if "leftmost" in sentence.text}
    assert leftmost == {frozenset({0, 1})}
    # The second and the third are equally far to the left.
    close = scene(thing(STAR, 20, 20), thing(STAR, 60, 60), thing(STAR, 62, 100))
    assert not any("leftmost" in sentence.text for sentence in sentences(close, "place"))


def test_a_single_thing_is_never_said_to_be_several() -> None:
    assert not sentences(scene(thing(BALL, 40, 60)))


@pytest.mark.parametrize("index", range(8))
def test_drawn_scenes_have_sentences_of_known_words_about_other_things_each(index: int) -> None:
    video = make_video(11, index)
    drawn = write_group_sentences(video.scene, np.random.default_rng(index), most=3)
    assert 0 < len(drawn) <= 3
    assert len({sentence.things for sentence in drawn}) == len(drawn)
    for sentence in drawn:
        assert set(sentence.text.split()) <= set(WORDS)
        assert 2 <= len(sentence.things) <= len(video.categories)
        assert max(sentence.things) < len(video.categories)
