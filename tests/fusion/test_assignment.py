"""Assignment: different groups get different objects."""

from __future__ import annotations

from itertools import permutations
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fusion.assignment import Candidate, ScoreFit, assign, choose_objects, find_objects
from fusion.overlaps import TOGETHER, are_near
from rvos.errors import FusionError
from rvos.masks.runs import Runs


def box(left: int, width: int = 10) -> Runs:
    masks = np.zeros((2, 4, 80), bool)
    masks[:, :, left : left + width] = True
    return Runs.from_masks(masks)


def candidate(group: int, left: int, weight: int = 1, rank: int = 0, width: int = 10) -> Candidate:
    return Candidate(group, weight, rank, box(left, width))


def lefts(found: list[Runs | None]) -> list[int | None]:
    """Return the leftmost column of each result."""
    return [None if runs is None else int(runs.starts[0]) // 4 for runs in found]


def test_a_group_gives_way_where_another_is_surer() -> None:
    candidates = [candidate(0, 0, 3), candidate(1, 0, 2), candidate(1, 30, 1)]
    assert lefts(assign(candidates, 2)) == [0, 30]


def test_two_may_share_with_capacity_two() -> None:
    candidates = [candidate(0, 0, 3), candidate(1, 0, 2), candidate(1, 30, 1)]
    assert lefts(assign(candidates, 2, capacity=2)) == [0, 0]


def test_without_capacity_everyone_takes_its_best() -> None:
    candidates = [candidate(group, 0, 2) for group in range(3)] + [candidate(2, 30, 1)]
    assert lefts(assign(candidates, 3, capacity=None)) == [0, 0, 0]


def test_a_group_left_over_takes_its_best_regardless() -> None:
    assert lefts(assign([candidate(0, 0, 3), candidate(1, 0, 2)], 2)) == [0, 0]


def test_a_group_without_masks_has_none() -> None:
    assert lefts(assign([candidate(1, 0)], 2)) == [None, 0]
    assert assign([], 2) == [None, None]


def test_a_head_takes_all_that_lie_on_it() -> None:
    candidates = [candidate(0, 0, 2), candidate(0, 2, 2), candidate(1, 40, 3)]
    objects = find_objects(candidates, 2, are_near([one.runs for one in candidates]))
    assert objects.heads == (0, 2)
    assert objects.support.tolist() == [[4, 0], [0, 3]]


@pytest.mark.parametrize(("ranks", "head"), [((1, 0), 1), ((0, 0), 0)], ids=["better rank", "earlier"])
def test_equal_weights_go_to_the_better_rank_then_to_the_earlier(ranks: tuple[int, int], head: int) -> None:
    candidates = [candidate(0, 0, 1, ranks[0]), candidate(0, 40, 1, ranks[1])]
    near = are_near([one.runs for one in candidates])
    assert find_objects(candidates, 1, near).heads[0] == head


def test_half_of_the_weight_passes() -> None:
    (found,) = assign([candidate(0, 0, 1, width=10), candidate(0, 0, 1, width=8)], 1)
    assert found is not None
    assert found.area() == 2 * 4 * 10
    (found,) = assign([candidate(0, 0, 1, width=10), candidate(0, 0, 2, width=8)], 1)
    assert found is not None
    assert found.area() == 2 * 4 * 8


def test_capacity_is_at_least_one() -> None:
    with pytest.raises(FusionError, match="capacity 0"):
        assign([], 1, capacity=0)


@given(arrays(np.int64, st.tuples(st.integers(1, 4), st.integers(1, 4)), elements=st.integers(0, 5)))
@settings(max_examples=100, deadline=None)
def test_no_other_choice_has_more_support(support: np.ndarray) -> None:
    groups, objects = support.shape
    padded = np.zeros((groups, max(groups, objects)), np.int64)
    padded[:, :objects] = support
    best = max(sum(padded[g, k] for g, k in enumerate(order)) for order in permutations(range(padded.shape[1]), groups))
    chosen = choose_objects(support, 1)
    first: dict[int, int] = {}
    for group, place in enumerate(chosen):
        if place is not None:
            first[place] = max(first.get(place, 0), int(support[group, place]))
    # Groups that were left over took what others hold; the holders alone reach the best sum.
    assert sum(first.values()) >= best
    assert [place is None for place in chosen] == [not row.any() for row in support]


def test_weight_of_a_fitted_score() -> None:
    fit = ScoreFit(4.0, -2.0)
    assert fit.weight(0.5) == pytest.approx(log(3))
    assert fit.weight(100.0) == pytest.approx(log(3 * 0.97 / 0.03))
    assert fit.weight(-100.0) == 0.05


def test_presence_counts_where_it_was_fitted() -> None:
    fit = ScoreFit(4.0, -4.0, 4.0)
    assert fit.chance(0.5, 0.5) == pytest.approx(0.5)
    assert fit.chance(0.5, 0.0) < 0.2
    assert ScoreFit(4.0, -2.0).chance(0.5, 0.9) == ScoreFit(4.0, -2.0).chance(0.5)
    with pytest.raises(FusionError, match="fitted with the presence of a detector, which this member has not"):
        fit.chance(0.5)


def test_more_candidates_than_are_cut_together_vote_alike() -> None:
    few = [candidate(0, 0, 2, width=9), candidate(0, 1, 1), candidate(0, 2, 2, width=8), candidate(1, 40)]
    other = [candidate(1, 40) for _ in range(TOGETHER)]
    found = [assign(candidates, 2) for candidates in (few, few + other)]
    columns = np.zeros((2, 4, 80), bool)
    columns[:, :, 1:10] = True  # weights of 5: columns 1 to 9 have 3 or more
    for masks, _ in found:
        assert masks is not None
        assert masks.encode() == Runs.from_masks(columns).encode()
