"""Sweeps give what fusing and scoring every setting on its own gives."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest

from fusion.methods.singles import SinglesRule
from fusion.methods.votes import Votes
from fusion.sweeps import Setting, count_member_votes, list_shares, list_subsets, score_settings
from fusion.thresholds import Threshold
from rvos.errors import FusionError
from rvos.evaluation import j_and_f
from rvos.evaluation.columns import pack_columns, trace_columns
from rvos.masks.mask_sequences import encode
from rvos.masks.runs import Runs

SIZE = (40, 70)
ONE_VOTE = Threshold.parse("1")


def draw(seed: int, n_masks: int) -> np.ndarray:
    """Return overlapping boxes `(masks, 3, H, W)`, some of them empty."""
    random = np.random.default_rng(seed)
    masks = np.zeros((n_masks, 3, *SIZE), bool)
    for mask in masks.reshape(-1, *SIZE):
        top, left = random.integers(0, 20, 2)
        height, width = random.integers(0, 25, 2)
        mask[top : top + height, left : left + width] = True
    return masks


def list_thresholds(rule: Votes, thresholds: Sequence[Threshold]) -> list[Setting]:
    """Return a setting for each threshold, with all members and the rule for groups of one."""
    return [Setting(tuple(range(len(rule.members))), rule.with_threshold(one)) for one in thresholds]


def as_runs(masks: np.ndarray) -> Runs:
    return Runs.decode(encode(masks), SIZE)


def dense_scores(members: np.ndarray, truths: np.ndarray, needed: int, weights: list[int]) -> np.ndarray:
    """Return J and F `(truths, 2)` of a dense vote; members `(M, E, T, H, W)`."""
    fused = np.tensordot(np.asarray(weights), members.sum(axis=1), axes=1) >= needed
    return np.array([[value.mean() for value in j_and_f(truth, fused)] for truth in truths])


def test_every_threshold_equals_fusing_and_scoring_it_alone() -> None:
    members, truths = draw(0, 6).reshape(3, 2, 3, *SIZE), draw(1, 2)
    votes = count_member_votes([[as_runs(masks) for masks in own] for own in members])
    rule = Votes(("a", "b", "c"), weights={"b": Fraction(2)}, threshold=ONE_VOTE)
    settings = list_thresholds(rule, [Threshold.parse(str(k)) for k in range(1, 9)])
    traced = [trace_columns(pack_columns(truth), SIZE) for truth in truths]
    scores = score_settings(votes, settings, traced)
    expected = np.stack([dense_scores(members, truths, k, [1, 2, 1]) for k in range(1, 9)])
    assert np.array_equal(scores, expected)


def test_every_subset_equals_fusing_and_scoring_it_alone() -> None:
    members, truths = draw(2, 6).reshape(3, 2, 3, *SIZE), draw(3, 1)
    votes = count_member_votes([[as_runs(masks) for masks in own] for own in members])
    settings = list_subsets(Votes(("a", "b", "c"), threshold=ONE_VOTE), group_size=2)
    assert len(settings) == 3 * 2 + 3 * 4 + 6
    scores = score_settings(votes, settings, [trace_columns(pack_columns(truths[0]), SIZE)])
    for setting, score in zip(settings, scores, strict=True):
        chosen = members[list(setting.members)]
        needed = setting.rule.count_votes(2)[1]
        assert np.array_equal(score, dense_scores(chosen, truths, needed, [1] * len(chosen)))


def test_pixels_that_do_not_count_are_left_out() -> None:
    members, truths, void = draw(4, 2).reshape(2, 1, 3, *SIZE), draw(5, 1), draw(6, 1)[0]
    votes = count_member_votes([[as_runs(masks) for masks in own] for own in members])
    words = pack_columns(void)
    settings = list_thresholds(Votes(("a", "b"), threshold=ONE_VOTE), [Threshold.parse("2")])
    scores = score_settings(votes, settings, [trace_columns(pack_columns(truths[0]), SIZE, words)], words)
    expected = j_and_f(truths[0], members.all(axis=0)[0], void)
    assert scores[0, 0].tolist() == [expected[0].mean(), expected[1].mean()]


def test_groups_of_one_keep_the_rule_of_the_recipe() -> None:
    members = draw(7, 2).reshape(2, 1, 3, *SIZE)
    votes = count_member_votes([[as_runs(masks) for masks in own] for own in members])
    rule = Votes(("a", "b"), threshold=ONE_VOTE, singles=SinglesRule(only="b"))
    for setting in list_thresholds(rule, [Threshold.parse("1"), Threshold.parse("4")]):
        assert votes.keep(setting).encode() == encode(members[1, 0])


def test_a_threshold_out_of_reach_keeps_nothing() -> None:
    masks = draw(8, 1)[0]
    votes = count_member_votes([[as_runs(masks)]])
    setting = list_thresholds(Votes(("a",), threshold=ONE_VOTE), [Threshold.parse("2")])[0]
    assert votes.keep(setting).areas().tolist() == [0, 0, 0]


@pytest.mark.parametrize(
    ("weights", "group_size", "expected"),
    [((1, 1), 2, ["1/4", "1/2", "3/4", "1"]), ((1, 2), 1, ["1/3", "2/3", "1"]), ((0.5, 2), 1, ["1/5", "4/5", "1"])],
)
def test_all_thresholds_that_can_differ_are_listed(
    weights: tuple[float, ...], group_size: int, expected: list[str]
) -> None:
    shares = list_shares([Fraction(weight) for weight in weights], group_size)
    assert [str(share.value) for share in shares] == expected


def test_no_masks_are_refused() -> None:
    with pytest.raises(FusionError, match="without masks"):
        count_member_votes([])
