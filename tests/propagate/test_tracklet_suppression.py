"""Tracklet scores and NMS: the examples of the specification, and what holds for any tracklets."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from propagate.tracklet_suppression import Candidate, SuppressionSettings, score_tracklet, suppress
from rvos.masks.runs import Runs, tracklet_iou


def make(*columns: tuple[int, int], score: float, key_frame: int = 0, proposal: int = 0) -> Candidate:
    """Return a tracklet of frames of 1 x 10 pixels that marks some columns of each."""
    masks = np.zeros((len(columns), 1, 10), np.bool_)
    for mask, (first, end) in zip(masks, columns, strict=True):
        mask[0, first:end] = True
    return Candidate(Runs.from_masks(masks), score, key_frame, proposal)


EXAMPLE = {
    "A": make((0, 5), (0, 5), score=0.80),
    "B": make((0, 4), (0, 5), score=0.85),
    "C": make((5, 9), (5, 9), score=0.60, key_frame=6),
    "D": make((0, 5), (0, 0), score=0.85, key_frame=6),
}


@pytest.mark.parametrize(("nms_iou", "kept"), [(0.3, "BC"), (0.5, "BDC"), (0.7, "BDC")])
def test_three_thresholds_keep_what_the_example_says(nms_iou: float, kept: str) -> None:
    names = list(EXAMPLE)
    found, _ = suppress(list(EXAMPLE.values()), SuppressionSettings(nms_iou))
    assert "".join(names[place] for place in found) == kept


def test_the_table_of_the_others_says_by_whom_and_how_much() -> None:
    _, dropped = suppress(list(EXAMPLE.values()), SuppressionSettings(0.3))
    # B, D, A, C in order: B suppresses D (0.4) and A (0.9).
    assert [(one.place, one.by, round(one.iou, 3)) for one in dropped] == [(3, 1, 0.4), (0, 1, 0.9)]
    _, dropped = suppress(list(EXAMPLE.values()), SuppressionSettings(0.5, keep=2))
    assert [(one.place, one.by) for one in dropped] == [(0, 1), (2, None)]


def test_ties_go_to_area_then_key_frame_then_proposal() -> None:
    small, large = make((0, 2), (0, 0), score=0.5), make((5, 9), (0, 0), score=0.5, key_frame=3)
    late, early = make((0, 2), (0, 0), score=0.5, key_frame=2), make((0, 0), (0, 2), score=0.5, key_frame=1)
    second = make((0, 0), (5, 7), score=0.5, key_frame=1, proposal=1)
    found, _ = suppress([small, large, late, second, early], SuppressionSettings(1.0))
    assert found == (1, 0, 4, 3, 2)


def test_no_tracklet_at_all_is_fine() -> None:
    assert suppress([], SuppressionSettings()) == ((), ())


def test_scores_are_those_of_the_example() -> None:
    propagation, areas = np.array([0.8, 0.6, 0, 1], np.float32), np.array([5, 3, 0, 4])
    assert score_tracklet(0.9, propagation, areas) == pytest.approx(0.54)
    assert score_tracklet(0.9, propagation, areas, mean="visible") == pytest.approx(0.72)


SPANS = st.tuples(st.integers(0, 9), st.integers(1, 5)).map(lambda span: (span[0], min(span[0] + span[1], 10)))
TRACKLETS = st.lists(st.tuples(st.tuples(SPANS, SPANS), st.sampled_from([0.25, 0.5, 0.75])), max_size=7)


def build(rows: Sequence[tuple[tuple[tuple[int, int], tuple[int, int]], float]]) -> list[Candidate]:
    return [make(*columns, score=score, proposal=place) for place, (columns, score) in enumerate(rows)]


@given(TRACKLETS, st.sampled_from([0.0, 0.25, 0.5, 1.0]), st.integers(1, 4))
def test_what_is_kept_never_overlaps_more_than_the_limit(rows: list, nms_iou: float, keep: int) -> None:  # type: ignore[type-arg]
    candidates = build(rows)
    kept, dropped = suppress(candidates, SuppressionSettings(nms_iou, keep))
    assert sorted([*kept, *(one.place for one in dropped)]) == list(range(len(candidates)))
    assert len(kept) <= keep
    for a, b in combinations(kept, 2):
        assert tracklet_iou(candidates[a].runs, candidates[b].runs) <= nms_iou
    for one in dropped:
        if one.by is None:
            assert len(kept) == keep
        else:
            assert one.by in kept
            assert one.iou == tracklet_iou(candidates[one.by].runs, candidates[one.place].runs) > nms_iou
            assert candidates[one.by].score >= candidates[one.place].score


@given(st.lists(st.tuples(st.tuples(SPANS, SPANS), st.sampled_from([0.25, 0.5])), max_size=4))
def test_the_order_in_which_tracklets_are_given_does_not_matter(rows: list) -> None:  # type: ignore[type-arg]
    candidates = build(rows)
    expected = {candidates[place].proposal for place in suppress(candidates, SuppressionSettings())[0]}
    for mixed in permutations(candidates):
        assert {mixed[place].proposal for place in suppress(mixed, SuppressionSettings())[0]} == expected
