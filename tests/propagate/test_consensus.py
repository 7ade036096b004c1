"""The consensus of several starts: each is carried alone, and the one that the other frames agree with is kept."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from toy import ToyEngine, propagate_video, write_video

from propagate.key_rules.consensus import Consensus, measure_agreement
from rvos.errors import InputError
from rvos.masks.mask_sequences import MaskSequence, SoftMaps

SIZE = (24, 32)
N_FRAMES = 6
FRAMES = tuple(f"{number:05d}" for number in range(N_FRAMES))


def squares(places: list[tuple[int, int] | None], scores: list[float]) -> MaskSequence:
    """Return squares of six pixels by their upper left corners; None is an empty mask."""
    masks: NDArray[np.bool_] = np.zeros((len(places), *SIZE), np.bool_)
    for mask, place in zip(masks, places, strict=True):
        if place is not None:
            mask[place[0] : place[0] + 6, place[1] : place[1] + 6] = True
    frames = FRAMES[: len(places)]
    values = np.array(scores, np.float32)
    return MaskSequence.from_masks(masks, video="v", expression="0", frames=frames, scores=values)


def list_starts(given: MaskSequence, count: int) -> tuple[MaskSequence, ...]:
    return Consensus(references=count).list_starts(given, given)


def test_a_start_on_another_object_is_outvoted(tmp_path: Path) -> None:
    """The toy moves masks one row and one column a step, so that frame 1's square is where frame 0's is carried to."""
    video = write_video(tmp_path, "v", FRAMES, SIZE)
    places: list[tuple[int, int] | None] = [(1 + frame, 1 + frame) for frame in range(4)]
    given = squares([*places, (15, 22), (16, 23)], [0.6, 0.5, 0.5, 0.5, 0.9, 0.8])
    rule = Consensus(references=3)
    starts = rule.list_starts(given, given)
    assert [start.key_frame for start in starts] == [4, 5, 0]
    carried = propagate_video(video, starts, engine=ToyEngine(np.ones(N_FRAMES, np.int64)))
    chosen = rule.choose(given, carried)
    assert chosen is carried[2]
    assert chosen.runs[:4] == given.runs[:4]
    np.testing.assert_array_equal(chosen.scores, given.scores)


def test_starts_are_the_steadiest_frames_without_soft_maps() -> None:
    given = squares([(1, 1), None, (3, 3), (4, 4)], [0.5, 0.9, 0.7, 0.6])
    soft = SoftMaps.quantise(np.full((4, 2, 2), 0.9, np.float32), low=0, high=1, kind="probability")
    starts = list_starts(replace(given, soft=soft), 8)
    assert [start.key_frame for start in starts] == [2, 3, 0]
    assert all(start.soft is None for start in starts)


def test_without_any_mask_there_is_one_start() -> None:
    given = squares([None, None], [0.1, 0.2])
    starts = list_starts(given, 3)
    assert [start.key_frame for start in starts] == [None]
    assert Consensus(references=3).choose(given, starts) is starts[0]


def test_agreement_is_the_iou_of_every_frame_times_its_score() -> None:
    given = squares([(0, 0), (0, 0), None], [0.5, 0.25, 1.0])
    other = squares([(0, 3), (0, 0), None], [0, 0, 0])
    assert measure_agreement(given, other) == pytest.approx(0.5 * 18 / 54 + 0.25 + 1.0)


def test_equal_agreement_goes_to_the_steadier_start() -> None:
    given = squares([(1, 1), (1, 1)], [0.2, 0.7])
    assert Consensus(references=2).choose(given, list_starts(given, 2)).key_frame == 1


def test_scores_that_are_not_finite_are_refused() -> None:
    with pytest.raises(InputError, match="v/0: scores are not finite"):
        list_starts(squares([(1, 1), (1, 1)], [0.2, float("nan")]), 2)
