"""Groups by runs: hits, the best cut, its confidences, and whether the order of the file says anything."""

from __future__ import annotations

from itertools import product
from math import log

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fusion.runs import LENGTHS, RunRule, count_hits, cut, group_by_runs, weigh_order
from rvos.errors import FusionError
from rvos.masks.runs import Runs

RULE = RunRule()


def box(left: int) -> Runs:
    masks = np.zeros((2, 4, 60), bool)
    masks[:, :, left : left + 10] = True
    return Runs.from_masks(masks)


def empty() -> Runs:
    return Runs.from_masks(np.zeros((2, 4, 60), bool))


def blocks(*sizes: int, same: float = 1.0, other: float = 0.0) -> np.ndarray:
    """Return the hits of groups of these sizes, in file order."""
    owner = np.repeat(np.arange(len(sizes)), sizes)
    return np.where(owner[:, None] == owner[None], same, other)


def ends(hits: np.ndarray, rule: RunRule = RULE) -> list[int]:
    return [after for _, after, _ in cut(hits, rule)]


def test_hits_count_ordered_pairs_of_members_and_a_member_with_itself() -> None:
    # m puts both sentences on one box; n puts the first on it and the second elsewhere: 2 of 4 pairs hit.
    m, n = {"a": box(0), "b": box(0)}, {"a": box(0), "b": box(30)}
    assert count_hits([m, n], ["a", "b"])[0, 1] == 0.5


def test_hits_are_symmetric_and_empty_masks_hit_nothing() -> None:
    hits = count_hits([{"a": box(0), "b": empty()}, {"a": box(1), "b": box(0)}], ["a", "b"])
    assert hits[0, 1] == hits[1, 0] == 0.5
    assert hits[1, 1] == 0.25


def test_one_member_is_refused() -> None:
    with pytest.raises(FusionError, match="at least two"):
        count_hits([{"a": box(0)}], ["a"])


@pytest.mark.parametrize(
    ("sizes", "expected"), [((2, 2), [2, 4]), ((2, 1, 2), [2, 3, 5]), ((1, 2), [1, 3]), ((2, 3), [2, 5]), ((1,), [1])],
    ids=["pairs", "one dropped", "first dropped", "three", "one sentence"],
)  # fmt: skip
def test_a_clear_order_is_found(sizes: tuple[int, ...], expected: list[int]) -> None:
    assert ends(blocks(*sizes)) == expected


def test_twins_that_all_members_confuse_stay_pairs() -> None:
    assert ends(np.ones((4, 4))) == [2, 4]


def test_without_evidence_pairs_are_the_rule() -> None:
    assert ends(np.full((6, 6), RULE.even)) == [2, 4, 6]


def test_no_sentence_gives_no_group() -> None:
    assert cut(np.zeros((0, 0)), RULE) == []


def test_a_single_sentence_is_a_sure_group() -> None:
    (group,) = group_by_runs(np.ones((1, 1)), ["a"], RULE)
    assert (group.expressions, group.confidence) == (("a",), 1.0)


def test_lengths_are_a_setting() -> None:
    four = RunRule(lengths=(0.01, 0.01, 0.01, 0.97))
    assert ends(blocks(4, 4), four) == [4, 8]


def test_equal_cuts_keep_the_earlier() -> None:
    # Three sentences without evidence: a pair first or a pair last are worth the same.
    assert cut(np.full((3, 3), RULE.even), RULE)[0][2] == 0.0
    assert len(ends(np.full((3, 3), RULE.even))) == 2


def value(sizes: tuple[int, ...], hits: np.ndarray) -> float:
    """Return what a cut is worth, written out from the specification."""
    total, first = 0.0, 0
    for size in sizes:
        pairs = [3.0 * (hits[i, j] - 0.37) for i in range(first, first + size) for j in range(i + 1, first + size)]
        total += log(LENGTHS[size - 1]) + (size - 1) * (sum(pairs) / len(pairs) if pairs else 0)
        first += size
    return total


@given(st.integers(1, 7).flatmap(lambda n: arrays(np.float64, (n, n), elements=st.sampled_from([0, 0.25, 0.5, 1.0]))))
@settings(max_examples=60, deadline=None)
def test_no_other_cut_is_worth_more_and_confidence_is_the_lead(hits: np.ndarray) -> None:
    hits = np.maximum(hits, hits.T)
    n = len(hits)
    worth = {
        sizes: value(sizes, hits)
        for k in range(1, n + 1)
        for sizes in product((1, 2, 3, 4), repeat=k)
        if sum(sizes) == n
    }
    runs = cut(hits, RULE)
    found = tuple(after - first for first, after, _ in runs)
    assert worth[found] == pytest.approx(max(worth.values()))
    for first, after, confidence in runs:
        without = [
            v for sizes, v in worth.items()
            if not any(sum(sizes[:k]) == first and sizes[k] == after - first for k in range(len(sizes)))
        ]  # fmt: skip
        lead = worth[found] - max(without, default=float("-inf"))
        assert confidence == pytest.approx(np.tanh(lead / 2), abs=1e-9)


@pytest.mark.parametrize("lengths", [(), (0.0, 1.0), (0.9, 0.9), (-1.0,), (float("nan"),)])
def test_lengths_are_probabilities(lengths: tuple[float, ...]) -> None:
    with pytest.raises(FusionError, match="lengths"):
        RunRule(lengths=lengths)


def test_an_order_that_holds_in_all_videos_is_sure() -> None:
    evidence = weigh_order([blocks(2, 2, 2)] * 5)
    assert evidence.is_sure
    assert (evidence.near, evidence.far, evidence.n_videos) == (pytest.approx(0.6), 0.0, 5)


def test_a_shuffled_order_says_nothing() -> None:
    random = np.random.default_rng(0)
    shuffled = []
    for _ in range(60):
        order = random.permutation(6)
        shuffled.append(blocks(2, 2, 2)[order][:, order])
    assert not weigh_order(shuffled).is_sure


@pytest.mark.parametrize("hits", [[], [blocks(2)], [blocks(2, 2)], [blocks(1), blocks(2)]], ids=str)
def test_too_few_videos_say_nothing(hits: list[np.ndarray]) -> None:
    assert not weigh_order(hits).is_sure
