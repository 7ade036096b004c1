"""Proposals: which frames are looked at, and which masks of a frame are used."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from propagate.proposals import ProposalSettings, Sampling, list_key_frames, pool_frame
from rvos.errors import ConfigError
from rvos.masks.detections import Proposal
from rvos.masks.mask_sequences import encode

SIZE = (1, 10)


def make(first: int, end: int, confidence: float, *, detector: str = "d") -> Proposal:
    """Return a proposal that marks some columns of a frame of 1 x 10 pixels."""
    mask = np.zeros((1, *SIZE), np.bool_)
    mask[0, 0, first:end] = True
    return Proposal(0, encode(mask)[0], confidence, detector)


def pool(*lists: Sequence[Proposal], **settings: object) -> tuple[list[Proposal], list[dict[str, object]]]:
    by_detector = {chr(ord("d") + place): own for place, own in enumerate(lists)}
    rules = ProposalSettings(**settings)  # type: ignore[arg-type]
    kept, counts = pool_frame(by_detector, frame="00000", size=SIZE, settings=rules)
    return kept, [count.as_json() for count in counts]


@pytest.mark.parametrize(
    ("n_frames", "sampling", "expected"),
    [
        (36, "ends", "0 6 12 18 23 29 35"),
        (27, "ends", "0 4 9 13 17 22 26"),
        (20, "ends", "0 3 6 10 13 16 19"),
        (8, "ends", "0 1 2 4 5 6 7"),
        (5, "ends", "0 1 2 3 4"),
        (36, "midpoints", "2 7 12 18 23 28 33"),
        (20, "midpoints", "1 4 7 10 12 15 18"),
    ],
)
def test_seven_key_frames_are_those_of_the_examples(n_frames: int, sampling: Sampling, expected: str) -> None:
    assert list_key_frames(n_frames, 7, sampling) == tuple(int(index) for index in expected.split())


def test_one_key_frame_is_in_the_middle_and_one_frame_is_enough() -> None:
    assert [list_key_frames(n, 1) for n in (2, 3, 8)] == [(0,), (1,), (3,)]
    assert list_key_frames(1, 7) == (0,)


@given(st.integers(1, 200), st.integers(1, 30), st.sampled_from(["ends", "midpoints"]))
def test_key_frames_are_distinct_ascending_and_inside(n_frames: int, count: int, sampling: Sampling) -> None:
    found = list_key_frames(n_frames, count, sampling)
    assert len(found) == min(n_frames, count)
    assert list(found) == sorted(set(found))
    assert set(found) <= set(range(n_frames))
    if sampling == "ends" and 1 < count < n_frames:
        assert (found[0], found[-1]) == (0, n_frames - 1)


def test_the_surest_of_masks_that_repeat_each_other_is_used() -> None:
    # IoU 8/10 and 7/10; only what is above 0.7 repeats.
    kept, counts = pool([make(0, 8, 0.5), make(0, 7, 0.6)], [make(0, 10, 0.9, detector="e")])
    assert [(one.detector, one.confidence) for one in kept] == [("e", 0.9), ("d", 0.6)]
    assert counts[0] == {
        "frame": "00000",
        "detector": "d",
        "found": 2,
        "empty": 0,
        "unsure": 0,
        "capped": 0,
        "repeated": 1,
        "kept": 1,
    }


def test_off_keeps_every_copy() -> None:
    kept, _ = pool([make(0, 8, 0.5), make(0, 8, 0.6)], frame_nms_iou="off")
    assert [one.confidence for one in kept] == [0.6, 0.5]


def test_equal_confidences_keep_the_order_of_detectors() -> None:
    kept, _ = pool([make(0, 8, 0.5)], [make(0, 8, 0.5, detector="e")])
    assert [one.detector for one in kept] == ["d"]


def test_empty_and_unsure_masks_are_dropped_before_the_cap() -> None:
    found = [make(0, 0, 0.9), make(0, 1, 0.29), make(2, 3, 0.3), make(4, 5, 0.8), make(6, 7, 0.5)]
    kept, counts = pool(found, max_per_frame=2)
    assert [one.confidence for one in kept] == [0.8, 0.5]
    assert [counts[0][key] for key in ("found", "empty", "unsure", "capped", "kept")] == [5, 1, 1, 1, 2]


def test_a_factor_changes_what_a_confidence_counts() -> None:
    kept, _ = pool([make(0, 1, 0.4)], [make(2, 3, 0.9, detector="e")], factors={"d": 2, "e": 0.5})
    assert [(one.detector, one.confidence) for one in kept] == [("d", 0.8), ("e", 0.45)]
    assert pool([make(0, 1, 0.9)], factors={"d": 2})[0][0].confidence == 1
    with pytest.raises(ConfigError, match="give a number above 0"):
        pool(factors={"d": 0})


def test_nothing_proposed_is_fine() -> None:
    assert pool([]) == (
        [],
        [
            {
                **dict.fromkeys(("found", "empty", "unsure", "capped", "repeated", "kept"), 0),
                "frame": "00000",
                "detector": "d",
            }
        ],
    )
