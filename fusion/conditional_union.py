"""Conditional union of two members: where the second marks much less than the first in most frames, both together."""

from __future__ import annotations

from fractions import Fraction

from rvos.masks.runs import Runs, unite

AREA_SHARE = Fraction(2, 3)
"""Part of the first mask's area below which the second counts as too small."""
_FRAME_SHARE = Fraction(1, 2)


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
