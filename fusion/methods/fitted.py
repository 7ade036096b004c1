"""Methods that compare scores, which can be fitted; not a method itself."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from fusion.assignment import ScoreFit
from fusion.fitted_files import read_fitted
from fusion.rules import FusionRule


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedRule(FusionRule):
    """A rule by scores.

    Args:
        fitted: file of `rvos fit` that makes the members' scores into chances; None: weights count.
    """

    fitted: Path | None = None

    def read_fits(self) -> tuple[ScoreFit, ...] | None:
        """See `FusionRule`."""
        return None if self.fitted is None else read_fitted(self.fitted).fits_of(self.members, str(self.fitted))
