"""The best sequence: the one with the highest mean score, of all members and expressions of the group."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from fusion.assignment import ScoreFit
from fusion.methods.fitted import FittedRule
from fusion.rules import Rows, list_present
from rvos.errors import FusionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Best(FittedRule):
    """The surest sequence, by weight times score, or by the chance that was fitted; the first of equals."""

    method: ClassVar[str] = "best"
    compares_scores: ClassVar[bool] = True

    def fuse_group(self, rows: Rows, fits: Sequence[ScoreFit] | None) -> tuple[bytes, ...]:
        """See `FusionRule`; masks without scores are refused, as their 1 would always win."""
        weights = self.integer_weights()
        merits = []
        present = list_present(rows)
        for member, sequence in present:
            if not sequence.scored:
                raise FusionError(
                    f"{sequence.video}/{sequence.expression}: {self.members[member]} came without scores, which "
                    "best compares; fuse by votes"
                )
            mean = float(sequence.scores.mean())
            merits.append(
                weights[member] * mean if fits is None else fits[member].chance(mean, sequence.highest_presence)
            )
        return present[merits.index(max(merits))][1].runs
