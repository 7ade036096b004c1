"""Conditional union of two members: where the second marks much less than the first in most frames, both together."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import ClassVar

from fusion.assignment import ScoreFit
from fusion.rules import FusionRule, Rows
from fusion.thresholds import Threshold
from fusion.votes import read_all_runs
from rvos.errors import FusionError
from rvos.masks.runs import Runs, unite

AREA_SHARE = Fraction(2, 3)
_FRAME_SHARE = Fraction(1, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionalUnion(FusionRule):
    """The second of two members, or both where it marks too little; the areas of two sentences say nothing.

    Args:
        threshold: part of the first's area below which the second is too small; None: 2 of 3.
    """

    method: ClassVar[str] = "conditional_union"
    cheap: ClassVar[str] = "threshold"
    takes_groups: ClassVar[bool] = False

    threshold: Threshold | None = None

    def __post_init__(self) -> None:
        FusionRule.__post_init__(self)
        if len(self.members) != 2 or len(set(self.exact_weights())) > 1:
            raise FusionError("conditional_union takes two members, without weights; name the smaller one second")
        if self.threshold is not None and self.threshold.kind == "count":
            raise FusionError("conditional_union needs a part of an area such as 2 of 3 as threshold")

    def list_values(self, sizes: Collection[int]) -> Sequence[str]:
        """See `FusionRule`."""
        return ("1 of 4", "1 of 3", "1 of 2", "2 of 3", "3 of 4", "1 of 1")

    def own_value(self) -> str:
        """See `FusionRule`."""
        return str(Threshold("share", AREA_SHARE) if self.threshold is None else self.threshold)

    def fuse_group(self, rows: Rows, fits: Sequence[ScoreFit] | None) -> tuple[bytes, ...]:
        """See `FusionRule`."""
        if len(rows) > 1:
            named = " and ".join(self.members)
            raise FusionError(f"conditional_union of {named} takes single sentences; set groups by none")
        if any(one.abstains for one in rows[0]):  # no part of an area without both
            return rows[0][0 if rows[0][1].abstains else 1].runs
        first, second = read_all_runs(rows[0])
        share = AREA_SHARE if self.threshold is None else self.threshold.value
        return unite_if_small(first, second, share=share).encode()


def unite_if_small(first: Runs, second: Runs, *, share: Fraction = AREA_SHARE) -> Runs:
    """Return the union of both where the second is too small, else the second.

    A frame is valid where the first marks something: only there is a part of its area. The second is too small where
    its area is below `share` of the first's in more than half of the valid frames, an empty one included. Without a
    valid frame it is taken as it is.

    Args:
        first, second: masks of equal frames and size.
        share: above 0, at most 1.
    """
    areas, others = first.areas(), second.areas()
    # In whole numbers: a float would decide ties by its rounding.
    is_small = others * share.denominator < areas * share.numerator
    valid = areas > 0
    if (is_small & valid).sum() > _FRAME_SHARE * int(valid.sum()):
        return unite([first, second])
    return second
