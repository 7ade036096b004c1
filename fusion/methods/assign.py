"""Assignment: the groups of a video compete for its objects, and different groups get different ones.

Source: same_object.md, section 3.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal, Self

import numpy as np

from fusion.assignment import WEIGHT_UNIT, Candidate, ScoreFit, assign
from fusion.member_masks import MemberMasks
from fusion.methods.fitted import FittedRule
from fusion.rules import Answers, list_present
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.masks.runs import Runs
from rvos.settings import Range

_APART = 2
"""Groups that share an object where every sentence is a group: two of them usually mean one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign(FittedRule):
    """An assignment of objects to groups.

    Args:
        capacity: groups that may share an object; None: as many as the groups and the data set let expect, else one.
    """

    method: ClassVar[str] = "assign"
    cheap: ClassVar[str] = "capacity"

    capacity: Literal["any"] | Annotated[int, Range(least=1)] | None = None

    def settle(self, *, grouped: bool, overlapping: bool) -> Self:
        """See `FusionRule`; where a sentence means several objects, any number of groups shares some."""
        if self.capacity is not None:
            return self
        return replace(self, capacity="any" if overlapping else 1 if grouped else _APART)

    def ungrouped(self) -> Self:
        """See `FusionRule`; two sentences may then mean one object."""
        return self if self.capacity == "any" else replace(self, capacity=max(self.capacity or 1, _APART))

    def list_values(self, sizes: Collection[int]) -> Sequence[str]:
        """See `FusionRule`."""
        return ("1", "2", "3", "any")

    def own_value(self) -> str:
        """See `FusionRule`."""
        return str(self.capacity or 1)

    @classmethod
    def fuse_by_all(cls, rules: Sequence[Self], answers: Answers) -> list[tuple[tuple[bytes, ...], ...]]:
        """See `FusionRule`; masks are compared once, and empty where no member marks anything for a group."""
        masks = answers.masks or rules[0]._read_masks(answers)
        return list(zip(*(rule._assign(answers, masks) for rule in rules), strict=True))

    def _assign(self, answers: Answers, masks: MemberMasks) -> list[tuple[bytes, ...]]:
        """Return the run lengths of each group."""
        sequences = [
            (group, member, sequence)
            for group, rows in enumerate(answers.groups)
            for member, sequence in list_present(rows)
        ]
        places = [masks.place(member, sequence.expression) for _, member, sequence in sequences]
        filled = [index for index, place in enumerate(places) if masks.overlaps.masks[place].area()]
        counts = self._count([(member, sequence) for _, member, sequence in sequences], answers.fits)
        ranks = _rank_within_members([(member, float(sequence.scores.mean())) for _, member, sequence in sequences])
        candidates = [
            Candidate(sequences[index][0], counts[index], ranks[index], masks.overlaps.masks[places[index]])
            for index in filled
        ]
        capacity = None if self.capacity == "any" else self.capacity or 1
        overlaps = masks.overlaps.select([places[index] for index in filled])
        found = assign(candidates, len(answers.groups), capacity=capacity, overlaps=overlaps)
        first = answers.groups[0][0][0]
        nothing = Runs.empty(first.n_frames, first.size)
        return [(nothing if own is None else own).encode() for own in found]

    def _read_masks(self, answers: Answers) -> MemberMasks:
        rows = [row for group in answers.groups for row in group]
        members = [by_expression(row[place] for row in rows) for place in range(len(self.members))]
        return MemberMasks.read(members, [row[0].expression for row in rows])

    def _count(self, sequences: Sequence[tuple[int, MaskSequence]], fits: Sequence[ScoreFit] | None) -> list[int]:
        """Return what each (member, sequence of it) counts: integers above 0."""
        if fits is None:
            weights = self.integer_weights()
            return [weights[member] for member, _ in sequences]
        return [
            round(
                WEIGHT_UNIT
                * fits[member].weight(float(sequence.scores.mean(dtype=np.float64)), sequence.highest_presence)
            )
            for member, sequence in sequences
        ]


def _rank_within_members(scores: Sequence[tuple[int, float]]) -> list[int]:
    """Return for each (member, mean score) how many sequences of the same member score higher."""
    own: dict[int, list[float]] = {}
    for member, score in scores:
        own.setdefault(member, []).append(score)
    return [sum(other > score for other in own[member]) for member, score in scores]
