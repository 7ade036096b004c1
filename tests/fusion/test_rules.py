"""Fusion of a whole video: votes, rest, average, best, assignment, scores."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest

from fusion.assignment import ScoreFit
from fusion.groups import Group
from fusion.methods.assign import Assign
from fusion.methods.average import Average
from fusion.methods.best import Best
from fusion.methods.singles import SinglesRule
from fusion.methods.votes import Votes
from fusion.rules import FusionRule, fuse_video
from fusion.thresholds import Threshold
from rvos.errors import FusionError
from rvos.masks.mask_sequences import MaskSequence, SoftMaps

ONE = Fraction(1)
NAMES = ("m0", "m1", "m2")
PAIR = NAMES[:2]


def sequence(
    rows: list[int],
    expression: str,
    scores: list[float] | None = None,
    soft: float | None = None,
    key: int | None = None,
) -> MaskSequence:
    """Return one-row masks; `rows` holds the bits of each frame."""
    masks = np.array([[[bool(bits >> x & 1) for x in range(4)]] for bits in rows])
    maps = None
    if soft is not None:
        values = np.full((len(rows), 1, 2), soft, np.float32)
        maps = SoftMaps.quantise(values, low=0, high=1, kind="probability")
    return MaskSequence.from_masks(
        masks,
        video="v",
        expression=expression,
        frames=tuple(str(t) for t in range(len(rows))),
        scores=np.asarray(scores or [0.0] * len(rows), np.float32),
        key_frame=key,
        soft=maps,
    )


def member(*rows: list[int], **options: object) -> dict[str, MaskSequence]:
    return {str(i): sequence(row, str(i), **options) for i, row in enumerate(rows)}  # type: ignore[arg-type]


def bits(sequence: MaskSequence) -> list[int]:
    return [sum(int(v) << x for x, v in enumerate(mask[0])) for mask in sequence.masks()]


def fuse(
    members: list[dict[str, MaskSequence]],
    rule: FusionRule,
    *groups: str,
    fits: tuple[ScoreFit, ...] | None = None,
) -> dict[str, MaskSequence]:
    fused = fuse_video(members, [Group(tuple(group)) for group in groups], rule, fits=fits)
    return {sequence.expression: sequence for sequence in fused}


def votes(threshold: str, n: int, singles: SinglesRule | None = None, **options: object) -> Votes:
    return Votes(NAMES[:n], threshold=Threshold.parse(threshold), singles=singles, **options)  # type: ignore[arg-type]


def test_a_pair_votes_together_and_shares_the_result() -> None:
    members = [member([0b0111], [0b0011]), member([0b0001], [0b1001])]
    fused = fuse(members, votes("2 of 4", 2), "01")
    assert bits(fused["0"]) == bits(fused["1"]) == [0b0011]


def test_mixed_pairs_become_the_union_of_their_objects() -> None:
    members = [member([0b0001], [0b1000])] * 3
    assert bits(fuse(members, votes("3", 3), "01")["0"]) == [0b1001]


@pytest.mark.parametrize(
    ("singles", "expected"),
    [(SinglesRule(only="m1"), 0b1110), (SinglesRule(threshold=Threshold.parse("3")), 0b0100), (None, 0b0110)],
    ids=["only", "threshold", "share of the votes"],
)
def test_a_group_of_one_follows_its_own_rule(singles: SinglesRule | None, expected: int) -> None:
    members = [member([0b0111]), member([0b1110]), member([0b0100])]
    assert bits(fuse(members, votes("3 of 6", 3, singles), "0")["0"]) == [expected]


def test_weights_count_in_the_sum() -> None:
    rule = Votes(NAMES, weights={"m0": Fraction("1.5")}, threshold=Threshold.parse("2"))
    assert bits(fuse([member([0b0001]), member([0b0011]), member([0b0100])], rule, "0")["0"]) == [0b0001]


def test_average_of_exactly_the_threshold_is_background() -> None:
    members = [member([0], soft=1.0), member([0], soft=0.0)]
    half = Average(PAIR)
    assert bits(fuse(members, half, "0")["0"]) == [0]
    heavier = Average(PAIR, weights={"m0": Fraction(2)})
    assert bits(fuse(members, heavier, "0")["0"]) == [0b1111]


def test_masks_without_soft_maps_are_probabilities_zero_and_one() -> None:
    members = [member([0b0011]), member([0b0110]), member([0b0010])]
    fused = fuse(members, Average(NAMES), "0")
    assert bits(fused["0"]) == [0b0010]


def test_assignment_gives_different_groups_different_objects() -> None:
    # Both sentences of m0 lie on one place, and m1 knows another one for the second.
    members = [member([0b0011], [0b0011]), member([0b0011], [0b1100])]
    fused = fuse(members, Assign(PAIR), "0", "1")
    assert [bits(fused[e]) for e in "01"] == [[0b0011], [0b1100]]


def test_assignment_shares_an_object_within_a_group_and_by_capacity() -> None:
    members = [member([0b0011], [0b0011]), member([0b0011], [0b1100])]
    together = fuse(members, Assign(PAIR), "01")
    assert [bits(together[e]) for e in "01"] == [[0b0011], [0b0011]]
    twice = fuse(members, Assign(PAIR, weights={"m0": Fraction(2)}, capacity=2), "0", "1")
    assert [bits(twice[e]) for e in "01"] == [[0b0011], [0b0011]]


def test_assignment_of_empty_masks_is_empty() -> None:
    fused = fuse([member([0, 0], [0b0110, 0])], Assign(("m0",)), "0", "1")
    assert [bits(fused[e]) for e in "01"] == [[0, 0], [0b0110, 0]]


def test_assignment_breaks_ties_by_rank_within_a_member() -> None:
    # The scores of m1 are larger throughout; only the order within each member counts.
    members = [
        {"0": sequence([0b0001], "0", [0.2])} | {"1": sequence([0b0010], "1", [0.3])},
        {"0": sequence([0b0010], "0", [0.9])} | {"1": sequence([0b0100], "1", [0.8])},
    ]
    rule = Assign(PAIR)
    fused = fuse(members, rule, "01")
    assert bits(fused["0"]) == [0b0010]


def test_fitted_scores_decide_an_assignment() -> None:
    members = [{"0": sequence([0b0001], "0", [0.9])}, {"0": sequence([0b0010], "0", [0.1])}]
    fits = (ScoreFit(-5.0, 0.0), ScoreFit(5.0, 3.0))
    fused = fuse(members, Assign(PAIR), "0", fits=fits)
    assert bits(fused["0"]) == [0b0010]


@pytest.mark.parametrize("rule", [Assign(PAIR), Best(PAIR)], ids=["assign", "best"])
def test_fitted_presence_decides_between_equal_scores(rule: FusionRule) -> None:
    masks = [sequence([bits], "0", [0.5]) for bits in (0b0001, 0b0010)]
    seen = zip(masks, (0.25, 0.75), strict=True)
    members = [{"0": replace(mask, presence=np.array([value], np.float32))} for mask, value in seen]
    fused = fuse(members, rule, "0", fits=(ScoreFit(1.0, 0.0, 5.0),) * 2)
    assert bits(fused["0"]) == [0b0010]


def test_best_compares_fitted_chances_where_members_score_differently() -> None:
    members = [{"0": sequence([0b0001], "0", [0.9])}, {"0": sequence([0b0010], "0", [0.2])}]
    fits = (ScoreFit(1.0, -1.0), ScoreFit(10.0, 0.0))
    fused = fuse(members, Best(PAIR), "0", fits=fits)
    assert bits(fused["0"]) == [0b0010]


def test_best_takes_the_sequence_with_the_highest_mean_score() -> None:
    members = [member([1, 1], [2, 2], scores=[0.9, 0.1]), member([4, 4], [8, 8], scores=[0.6, 0.6])]
    fused = fuse(members, Best(PAIR), "01")
    assert bits(fused["0"]) == bits(fused["1"]) == [4, 4]


@pytest.mark.parametrize("fits", [None, (ScoreFit(1.0, 0.0), ScoreFit(1.0, 0.0))], ids=["by weights", "fitted"])
def test_best_refuses_masks_that_came_without_scores(fits: tuple[ScoreFit, ...] | None) -> None:
    # An import's score of 1 says only that a mask is there; it must not beat a network's 0.9.
    white = {name: replace(mask, scored=False) for name, mask in member([0b1111], scores=[1.0]).items()}
    with pytest.raises(FusionError, match="v/0: m1 came without scores, which best compares; fuse by votes"):
        fuse([member([0b0001], scores=[0.9]), white], Best(PAIR), "0", fits=fits)


@pytest.mark.parametrize(("rule", "scored"), [("first", True), ("mean", False), ("product", False)])
def test_a_fusion_has_scores_where_those_that_it_passes_on_are(rule: str, scored: bool) -> None:
    without = {name: replace(mask, scored=False) for name, mask in member([1]).items()}
    assert fuse([member([1]), without], votes("1", 2, scores=rule), "0")["0"].scored is scored
    assert not fuse([without, member([1])], votes("1", 2, scores=rule), "0")["0"].scored


@pytest.mark.parametrize(
    ("rule", "scores", "key_frame"),
    [("first", [0.5, 0.1], 1), ("mean", [0.5, 0.5], 0), ("product", [0.25, 0.09], 0)],
)
def test_scores_and_key_frame_follow_the_stated_rule(rule: str, scores: list[float], key_frame: int) -> None:
    members = [member([1, 1], scores=[0.5, 0.1], key=1), member([1, 1], scores=[0.5, 0.9])]
    fused = fuse(members, votes("1", 2, scores=rule), "0")["0"]
    np.testing.assert_allclose(fused.scores, scores, atol=1e-7)
    assert fused.pick_key_frame() == key_frame


def test_unequal_members_are_named_with_their_shapes() -> None:
    with pytest.raises(FusionError, match=r"v/0: m1 has \(2, 1, 4\) but m0 has \(1, 1, 4\); recompute m1"):
        fuse([member([1]), member([1, 1])], votes("1", 2), "0")


def test_a_missing_expression_is_named() -> None:
    with pytest.raises(FusionError, match="m1 has no expression '1'"):
        fuse([member([1], [1]), member([1])], votes("1", 2), "01")


def test_reach_is_known_before_any_vote() -> None:
    reach = votes("4", 3).explain_reach(1, "here")
    assert reach == (
        "a group of one expression, here, has 3 votes but needs 4; lower the threshold or add a rule for singles"
    )
    assert votes("4", 3).explain_reach(2, "here") is None
    assert votes("4", 3, SinglesRule(only="m0")).explain_reach(1, "here") is None


@pytest.mark.parametrize(
    "make",
    [
        lambda: Best(()),
        lambda: Average(PAIR, threshold=Threshold.parse("2")),
        lambda: Average(PAIR, weights={"m2": ONE}),
        lambda: fuse([member([1]), member([1])], Assign(PAIR), "0", fits=()),
        lambda: SinglesRule(),
        lambda: SinglesRule(Threshold.parse("1"), "m0"),
        lambda: votes("1", 2, SinglesRule(only="m2")),
    ],
    ids=[
        "no member",
        "count of an average",
        "weight of another",
        "no fits",
        "empty rest",
        "two rests",
        "rest of another",
    ],
)
def test_contradictory_rules_are_refused(make: object) -> None:
    with pytest.raises(FusionError):
        make()  # type: ignore[operator]
