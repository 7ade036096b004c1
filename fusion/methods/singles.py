"""Methods with a threshold, and with a rule of its own for groups of one expression; not a method itself."""

from __future__ import annotations

from dataclasses import dataclass

from fusion.rules import FusionRule, Rows
from fusion.thresholds import Threshold
from rvos.errors import FusionError
from rvos.settings import nearest, show


@dataclass(frozen=True, slots=True)
class SinglesRule:
    """What happens to a group of one expression; exactly one of the two is given.

    Args:
        threshold: among the members.
        only: the member that is taken as it is.
    """

    threshold: Threshold | None = None
    only: str | None = None

    def __post_init__(self) -> None:
        if (self.threshold is None) == (self.only is None):
            raise FusionError("singles: give either a threshold or the one member to take")


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleWithSingles(FusionRule):
    """A rule with a threshold.

    Args:
        threshold: of the method; None: the method's own.
        singles: rule of groups of one; None: like the others.
    """

    threshold: Threshold | None = None
    singles: SinglesRule | None = None

    def __post_init__(self) -> None:
        FusionRule.__post_init__(self)
        only = self.singles.only if self.singles else None
        if only is not None and only not in self.members:
            raise FusionError(f"singles.only {show(only)} is unknown; {nearest(only, self.members)}")

    def threshold_for(self, group_size: int) -> Threshold | None:
        """Return the threshold of groups of a size; None: the method's own, or one member is taken as it is."""
        return self.singles.threshold if self.singles is not None and group_size == 1 else self.threshold

    def find_only(self, group_size: int) -> int | None:
        """Return the place of the member that groups of a size take as it is; None: all count."""
        only = self.singles.only if self.singles is not None and group_size == 1 else None
        return None if only is None else self.members.index(only)

    def take_only(self, rows: Rows) -> tuple[bytes, ...] | None:
        """Return the run lengths of the one member that a group takes as it is; None: all count."""
        only = self.find_only(len(rows))
        return None if only is None else rows[0][only].runs
