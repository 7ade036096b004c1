"""Fusion of all expressions of a video: what a fusion node's settings say, and its result."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Literal, get_args

import numpy as np

from fusion.assignment import WEIGHT_UNIT, Candidate, ScoreFit, assign
from fusion.averages import average
from fusion.conditional_union import AREA_SHARE, unite_if_small
from fusion.groups import Group
from fusion.member_masks import Member, MemberMasks
from fusion.scores import ScoreRule, combine_scores
from fusion.thresholds import Threshold, scale_weights
from fusion.votes import check_alike, read_all_runs, vote
from rvos.errors import FusionError
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.runs import Runs

FusionMethod = Literal["votes", "average", "best", "assign", "conditional_union"]
FUSION_METHODS: tuple[str, ...] = get_args(FusionMethod)


@dataclass(frozen=True, slots=True)
class SinglesRule:
    """What happens to a group of one expression; exactly one of the two is given.

    Args:
        threshold: of the vote among the members.
        only: index of the member that is taken as it is.
    """

    threshold: Threshold | None = None
    only: int | None = None

    def __post_init__(self) -> None:
        if (self.threshold is None) == (self.only is None):
            raise FusionError("singles: give either a threshold or the one member to take")


@dataclass(frozen=True, slots=True)
class FusionRule:
    """How members are combined.

    Args:
        weights: one for each member, above 0.
        method: `votes` (paper Eq. 3); `average` of probabilities; `best`: the sequence with the highest mean score,
            weight times score, of all members and expressions of the group; `assign`: different groups get different
            objects (`fusion.assignment`); `conditional_union`: of two members the second, or both where it marks too
            little (`fusion.conditional_union`), for groups of one.
        threshold: votes needed, for `average` the probability to exceed, for `conditional_union` the part of the
            first's area below which the second is too small.
        singles: rule of groups of one; None: like the others.
        scores: rule of the result's scores and key frame.
        fits: one for each member, which make mean scores into chances that can be compared; None: not fitted.
        capacity: for `assign`, groups that may share an object; None: any number.
    """

    weights: tuple[Fraction, ...]
    method: FusionMethod = "votes"
    threshold: Threshold | None = None
    singles: SinglesRule | None = None
    scores: ScoreRule = "first"
    fits: tuple[ScoreFit, ...] | None = None
    capacity: int | None = 1

    def __post_init__(self) -> None:
        if not self.weights:
            raise FusionError("a fusion without members; name at least one member")
        scale_weights(self.weights)
        if self.fits is not None and len(self.fits) != len(self.weights):
            raise FusionError(f"fits of {len(self.fits)} members for {len(self.weights)}; fit these members again")
        if self.method == "votes" and self.threshold is None:
            raise FusionError("a vote needs a threshold")
        stated = (self.threshold, self.singles.threshold if self.singles else None)
        if self.method == "average" and any(t is not None and t.kind == "count" for t in stated):
            raise FusionError("an average needs a probability such as 0.5 as threshold, not a count")
        if self.method == "conditional_union":
            self._check_union(stated)
        if self.method in ("best", "assign") and (self.threshold is not None or self.singles is not None):
            raise FusionError(f"{self.method} has no threshold; remove threshold and singles")

    def _check_union(self, stated: tuple[Threshold | None, Threshold | None]) -> None:
        if len(self.weights) != 2 or len(set(self.weights)) > 1:
            raise FusionError("conditional_union takes two members, without weights; name the smaller one second")
        if self.singles is not None or any(t is not None and t.kind == "count" for t in stated):
            raise FusionError("conditional_union needs a part of an area such as 2 of 3 as threshold, and no singles")

    def count_votes(self, group_size: int) -> tuple[int, int]:
        """Return the votes that a group of this size has, and those that it needs, in units of the weights."""
        weights, unit = scale_weights(self.weights)
        total = sum(weights) * group_size
        threshold = self.threshold
        if group_size == 1 and self.singles is not None:
            threshold = self.singles.threshold
        return total, 1 if threshold is None else threshold.needed(total, unit)

    def count(self, sequences: Sequence[tuple[int, MaskSequence]]) -> list[int]:
        """Return what each (member, sequence of it) counts where its own mean score does: integers above 0."""
        if self.fits is None:
            weights = self.integer_weights()
            return [weights[member] for member, _ in sequences]
        return [
            round(WEIGHT_UNIT * self.fits[member].weight(float(sequence.scores.mean(dtype=np.float64))))
            for member, sequence in sequences
        ]

    def integer_weights(self) -> tuple[int, ...]:
        """Return the weights in the integers that votes are counted in."""
        return scale_weights(self.weights)[0]

    def with_threshold(self, threshold: Threshold) -> FusionRule:
        """Return the same rule with another threshold."""
        return replace(self, threshold=threshold)

    def can_pass(self, group_size: int) -> bool:
        """Tell whether the votes of a group of this size can reach the threshold."""
        if self.method != "votes":
            return True
        total, needed = self.count_votes(group_size)
        return needed <= total


def fuse_video(
    members: Sequence[Member],
    groups: Sequence[Group],
    rule: FusionRule,
    *,
    names: Sequence[str],
    masks: MemberMasks | None = None,
) -> Iterator[MaskSequence]:
    """Yield the fused sequence of every expression, group by group.

    Args:
        members: for each member the sequences of a video by expression.
        groups: which expressions are fused with each other.
        names: of the members, for messages.
        masks: of these members and all sentences of the groups where they are read already; None: read here.

    Raises:
        FusionError: an expression is missing, frames or sizes differ, no vote can reach the threshold, or masks
            without scores are to be compared by their scores.
    """
    rows = [
        [[_get(member, name, expression) for member, name in zip(members, names, strict=True)] for expression in group]
        for group in (group.expressions for group in groups)
    ]
    for row in (row for own in rows for row in own):
        check_alike(row, names)
    if rule.method == "assign":
        masks = masks or MemberMasks.read(members, [name for group in groups for name in group.expressions])
        fused: Iterable[tuple[bytes, ...]] = _assign_groups(rows, rule, masks)
    else:
        fused = (_fuse_group(own, rule, names=names) for own in rows)
    for own, runs in zip(rows, fused, strict=True):
        for row in own:
            scores, key_frame = combine_scores(row, rule.scores)
            first = row[0]
            yield MaskSequence(
                first.video,
                first.expression,
                first.frames,
                first.size,
                runs,
                scores,
                key_frame,
                scored=all(one.scored for one in (row[:1] if rule.scores == "first" else row)),
            )


def _assign_groups(
    groups: Sequence[Sequence[Sequence[MaskSequence]]], rule: FusionRule, masks: MemberMasks
) -> list[tuple[bytes, ...]]:
    """Return the run lengths of each group; empty where no member marks anything for it."""
    sequences = [
        (group, member, sequence)
        for group, rows in enumerate(groups)
        for row in rows
        for member, sequence in enumerate(row)
    ]
    ranks = _rank_within_members([(member, float(sequence.scores.mean())) for _, member, sequence in sequences])
    counts = rule.count([(member, sequence) for _, member, sequence in sequences])
    places = [masks.place(member, sequence.expression) for _, member, sequence in sequences]
    runs = [masks.overlaps.masks[place] for place in places]
    filled = [index for index, own in enumerate(runs) if own.area()]
    candidates = [Candidate(sequences[index][0], counts[index], ranks[index], runs[index]) for index in filled]
    overlaps = masks.overlaps.select([places[index] for index in filled])
    found = assign(candidates, len(groups), capacity=rule.capacity, overlaps=overlaps)
    first = sequences[0][2]
    nothing = Runs.empty(first.n_frames, first.size)
    return [(nothing if own is None else own).encode() for own in found]


def _rank_within_members(scores: Sequence[tuple[int, float]]) -> list[int]:
    """Return for each (member, mean score) how many sequences of the same member score higher."""
    own: dict[int, list[float]] = {}
    for member, score in scores:
        own.setdefault(member, []).append(score)
    return [sum(other > score for other in own[member]) for member, score in scores]


def _fuse_group(rows: Sequence[Sequence[MaskSequence]], rule: FusionRule, *, names: Sequence[str]) -> tuple[bytes, ...]:
    """Return the run lengths that the expressions of a group share; `rows` holds its members' sequences."""
    if len(rows) == 1 and rule.singles is not None and rule.singles.only is not None:
        return rows[0][rule.singles.only].runs
    everyone = [sequence for row in rows for sequence in row]
    weights = list(rule.integer_weights()) * len(rows)
    if rule.method == "average":
        return average(everyone, weights=weights, threshold=_probability(rule, len(rows)))
    if rule.method == "conditional_union":
        return _unite(rows, rule, names)
    if rule.method == "best":
        return everyone[_find_best(everyone, rule, names)].runs
    return vote(everyone, needed=rule.count_votes(len(rows))[1], weights=weights).encode()


def _unite(rows: Sequence[Sequence[MaskSequence]], rule: FusionRule, names: Sequence[str]) -> tuple[bytes, ...]:
    """Return the run lengths of one expression by conditional union."""
    if len(rows) > 1:
        raise FusionError(f"conditional_union of {' and '.join(names)} takes single sentences; set groups by none")
    first, second = read_all_runs(rows[0])
    share = AREA_SHARE if rule.threshold is None else rule.threshold.value
    return unite_if_small(first, second, share=share).encode()


def _find_best(sequences: Sequence[MaskSequence], rule: FusionRule, names: Sequence[str]) -> int:
    """Return the place of the surest sequence, the first of equals; members alternate in `sequences`.

    Raises:
        FusionError: masks that came without scores, whose 1 would win against any network's.
    """
    n_members = len(rule.weights)
    for place, sequence in enumerate(sequences):
        if not sequence.scored:
            raise FusionError(
                f"{sequence.video}/{sequence.expression}: {names[place % n_members]} came without scores, which best "
                "compares; fuse by votes"
            )
    means = [float(sequence.scores.mean()) for sequence in sequences]
    if rule.fits is not None:
        ranked = [rule.fits[place % n_members].chance(mean) for place, mean in enumerate(means)]
    else:
        weights = rule.integer_weights()
        ranked = [weights[place % n_members] * mean for place, mean in enumerate(means)]
    return ranked.index(max(ranked))


def _probability(rule: FusionRule, group_size: int) -> float:
    threshold = rule.singles.threshold if rule.singles is not None and group_size == 1 else rule.threshold
    return 0.5 if threshold is None else float(threshold.value)


def _get(member: Member, name: str, expression: str) -> MaskSequence:
    if expression not in member:
        raise FusionError(f"{name} has no expression {expression!r}; recompute {name}")
    return member[expression]
