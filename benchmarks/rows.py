"""One measured promise."""

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
