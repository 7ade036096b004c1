"""Corrected answers: a given mask is carried both ways to the next correction, and everything else stays."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from toy import ToyEngine, write_video

from propagate.corrections import GivenMask, correct_sequence
from propagate.propagator import Propagator
from rvos.masks.mask_sequences import MaskSequence, encode
from rvos.videos import Video

SIZE = (16, 16)
N_FRAMES = 9
FRAMES = tuple(f"{5 * index:05d}" for index in range(N_FRAMES))


@pytest.fixture
def video(tmp_path: Path) -> Video:
    return write_video(tmp_path, "v", FRAMES, SIZE)


@pytest.fixture
def carrier() -> Propagator:
    """Masks move one row down with every step, in either direction."""
    return Propagator(ToyEngine(np.zeros(N_FRAMES, np.int64)))


def make_answer() -> MaskSequence:
    """Return an answer that marks the lowest row of every frame, where nothing carried arrives."""
    masks = np.zeros((N_FRAMES, *SIZE), np.bool_)
    masks[:, -1] = True
    scores = np.arange(N_FRAMES, dtype=np.float32)
    return MaskSequence.from_masks(masks, video="v", expression="0", frames=FRAMES, scores=scores, key_frame=1)


def give(column: int, carrier: Propagator | None) -> GivenMask:
    mask = np.zeros(SIZE, np.bool_)
    mask[0, column] = True
    return GivenMask(encode(mask[None])[0], carrier)


def read(sequence: MaskSequence) -> list[str]:
    """Return each frame as `row column` of its one pixel, `own` for the answer of before, `-` for none."""

    def name(mask: NDArray[np.bool_]) -> str:
        where = np.argwhere(mask)
        return "-" if not len(where) else "own" if len(where) > 1 else " ".join(map(str, where[0]))

    return [name(mask) for mask in sequence.masks()]


def test_a_given_mask_is_carried_to_both_ends(video: Video, carrier: Propagator) -> None:
    answer = correct_sequence(video, make_answer(), {3: give(2, carrier)})
    assert read(answer) == ["3 2", "2 2", "1 2", "0 2", "1 2", "2 2", "3 2", "4 2", "5 2"]


def test_it_stops_before_the_next_correction_whatever_that_is(video: Video, carrier: Propagator) -> None:
    answer = correct_sequence(video, make_answer(), {4: give(2, carrier), 6: give(9, None)}, emptied={1, 2})
    assert read(answer) == ["own", "-", "-", "1 2", "0 2", "1 2", "0 9", "own", "own"]


def test_kept_frames_hold_it_back_and_stay(video: Video, carrier: Propagator) -> None:
    answer = correct_sequence(video, make_answer(), {4: give(2, carrier)}, kept={2, 6, 7})
    assert read(answer) == ["own", "own", "own", "1 2", "0 2", "1 2", "own", "own", "own"]


def test_two_that_are_carried_meet_in_the_middle_whose_frame_is_the_earlier_ones(
    video: Video, carrier: Propagator
) -> None:
    answer = correct_sequence(video, make_answer(), {1: give(2, carrier), 5: give(9, carrier)})
    assert read(answer) == ["1 2", "0 2", "1 2", "2 2", "1 9", "0 9", "1 9", "2 9", "3 9"]


def test_a_mask_that_nothing_carries_and_emptied_frames_stand_alone(video: Video) -> None:
    answer = correct_sequence(video, make_answer(), {0: give(2, None)}, emptied={7, 8})
    assert read(answer) == ["0 2", *["own"] * 6, "-", "-"]


def test_scores_and_key_frame_stay(video: Video, carrier: Propagator) -> None:
    before = make_answer()
    answer = correct_sequence(video, before, {3: give(2, carrier)})
    assert answer.key_frame == 1
    assert (answer.scores == before.scores).all()


def test_an_answer_that_was_missing_is_one_once_a_person_gave_it(video: Video) -> None:
    before = replace(make_answer(), missing="abstain")
    assert correct_sequence(video, before, {}, emptied={1}).missing is None
    assert correct_sequence(video, before, {0: give(2, None)}).missing is None
    assert correct_sequence(video, before, {}, kept={1}).missing == "abstain"


def test_the_engine_sees_no_frame_beyond_the_next_correction(video: Video) -> None:
    engine = ToyEngine(np.zeros(N_FRAMES, np.int64))
    correct_sequence(video, make_answer(), {4: give(2, Propagator(engine))}, emptied={1}, kept={7})
    assert sorted(set(engine.encoded)) == [2, 3, 4, 5, 6]
