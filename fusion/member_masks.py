"""The masks of a video's members, read and compared once: for groups by runs and for the assignment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fusion.overlaps import Overlaps
from fusion.runs import Values, share_hits
from fusion.votes import read_all_runs
from rvos.masks.mask_sequences import MaskSequence

Member = Mapping[str, MaskSequence]


@dataclass(frozen=True, slots=True, eq=False)
class MemberMasks:
    """All sequences of a video: E expressions, M members, and the overlaps of the M * E masks, member by member."""

    expressions: tuple[str, ...]
    n_members: int
    overlaps: Overlaps

    @classmethod
    def read(cls, members: Sequence[Member], expressions: Sequence[str]) -> MemberMasks:
        """Return the masks of members that have these sentences; InputError, FusionError where no masks, or unequal."""
        masks = read_all_runs([member[expression] for member in members for expression in expressions])
        return cls(tuple(expressions), len(members), Overlaps.find(masks))

    def place(self, member: int, expression: str) -> int:
        """Return where a sequence stands among those of `overlaps`."""
        return member * len(self.expressions) + self.expressions.index(expression)

    def count_hits(self) -> Values:
        """Return the share of the ordered pairs of members that put two sentences on one object, `(E, E)`."""
        return share_hits(self.overlaps.near, self.n_members)
