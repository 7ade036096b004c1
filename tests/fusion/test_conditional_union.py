"""Conditional union: the second member, or both where it marks less than two thirds of the first in most frames."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from fusion.groups import Group
from fusion.methods.conditional_union import ConditionalUnion, unite_if_small
from fusion.rules import fuse_video
from fusion.thresholds import Threshold
from rvos.errors import FusionError
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.runs import Runs

PAIR = ("a", "b")


def rows(*areas: int, start: int = 0) -> np.ndarray:
    """Return one-row masks of 12 pixels; each frame marks so many from `start` on."""
    masks = np.zeros((len(areas), 1, 12), bool)
    for frame, area in enumerate(areas):
        masks[frame, 0, start : start + area] = True
    return masks


def unite(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    found = unite_if_small(Runs.from_masks(first), Runs.from_masks(second))
    return MaskSequence(
        "v", "0", ("a",) * len(first), (1, 12), found.encode(), np.zeros(len(first), np.float32)
    ).masks()


def test_a_second_mask_of_two_thirds_is_large_enough_and_one_below_is_not() -> None:
    first = rows(6, 6, 6)
    assert (unite(first, rows(4, 4, 4, start=5)) == rows(4, 4, 4, start=5)).all()
    assert (unite(first, rows(3, 3, 3, start=5)) == rows(8, 8, 8)).all()


def test_exactly_half_of_the_frames_is_not_more_than_half() -> None:
    first, half = rows(6, 6, 6, 6), rows(3, 3, 6, 6)
    assert (unite(first, half) == half).all()
    most = rows(3, 3, 3, 6)
    assert (unite(first, most) == (first | most)).all()


def test_frames_where_the_first_marks_nothing_do_not_count() -> None:
    # Small in both valid frames; the three others are the second's own business.
    first, second = rows(6, 6, 0, 0, 0), rows(2, 0, 9, 9, 9)
    assert (unite(first, second) == (first | second)).all()
    assert (unite(rows(0, 0), rows(3, 0)) == rows(3, 0)).all()


@given(
    st.integers(1, 6).flatmap(
        lambda n: st.tuples(*[st.lists(st.integers(0, 8), min_size=n, max_size=n) for _ in range(2)])
    )
)
def test_any_areas_are_decided_as_a_plain_loop_decides_them(areas: tuple[list[int], list[int]]) -> None:
    first, second = rows(*areas[0]), rows(*areas[1], start=3)
    valid = [(a, b) for a, b in zip(*areas, strict=True) if a]
    small = [b / a < 2 / 3 - 1e-9 for a, b in valid]
    expected = first | second if valid and sum(small) > len(valid) / 2 else second
    assert (unite(first, second) == expected).all()


def member(masks: np.ndarray, score: float, expressions: str = "0") -> dict[str, MaskSequence]:
    frames = tuple(str(frame) for frame in range(len(masks)))
    scores = np.full(len(masks), score, np.float32)
    return {
        name: MaskSequence.from_masks(masks, video="v", expression=name, frames=frames, scores=scores)
        for name in expressions
    }


def test_the_threshold_is_the_part_of_the_area_and_scores_are_the_first_members() -> None:
    members = [member(rows(6, 6), 0.7), member(rows(3, 3), 0.2)]
    for threshold, expected in ((None, rows(6, 6)), (Threshold.parse("1/2"), rows(3, 3))):
        rule = ConditionalUnion(PAIR, threshold=threshold)
        (found,) = fuse_video(members, [Group(("0",))], rule)
        assert (found.masks() == expected).all()
        assert found.scores.tolist() == pytest.approx([0.7, 0.7])


def test_what_does_not_go_together_is_refused() -> None:
    for names, weights in ((("a",), {}), (("a", "b", "c"), {}), (PAIR, {"b": Fraction(2)})):
        with pytest.raises(FusionError, match="takes two members, without weights"):
            ConditionalUnion(names, weights=weights)
    with pytest.raises(FusionError, match="needs a part of an area"):
        ConditionalUnion(PAIR, threshold=Threshold.parse("2"))
    members = [member(rows(6), 1.0, "01"), member(rows(3), 1.0, "01")]
    with pytest.raises(FusionError, match="takes single sentences"):
        list(fuse_video(members, [Group(("0", "1"))], ConditionalUnion(PAIR)))
