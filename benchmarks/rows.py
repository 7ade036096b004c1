"""Measured promises: what they are, and how a difference of masks is one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Args:
        name: what is measured.
        ours, baseline: both sides, measured in the same run, in `unit`.
        ratio: what the bound is about; at least `bound`, or at most where the bound starts with "<".
        bound: such as ">= 20" or "<= 2".
    """

    name: str
    ours: float
    baseline: float
    ratio: float
    bound: str
    unit: str

    @property
    def passes(self) -> bool:
        """Whether the ratio keeps the bound."""
        sign, number = self.bound.split()
        return self.ratio >= float(number) if sign.startswith(">") else self.ratio <= float(number)


MASK_GATE = 2e-4
"""Share of pixels in which two realisations of one network may differ, as in a parity case: ties fall either way."""


def difference_row(name: str, differing: int, pixels: int, *, limit: float = MASK_GATE) -> Row:
    """Return the row of a comparison: the share of the pixels that differ, at most `limit`."""
    share = differing / max(pixels, 1)
    return Row(f"{name}, pixels that differ", share, limit, share, f"<= {limit:g}", "share")
