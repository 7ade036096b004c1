"""Votes: the pixels that enough members mark, over all expressions of a group. Source: seed paper, Eq. 3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from fusion.assignment import ScoreFit
from fusion.methods.singles import RuleWithSingles
from fusion.rules import Rows, list_present
from fusion.thresholds import Threshold, scale_weights
from fusion.votes import vote


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes(RuleWithSingles):
    """A vote.

    Args:
        threshold: votes needed: a count (`3`), `k of n`, or a part (`0.5`).
    """

    method: ClassVar[str] = "votes"

    threshold: Threshold

    def check(self) -> Iterator[str]:
        """See `FusionRule`."""
        if self.singles is not None and (problem := self.explain_reach(1, "by the rule for singles")):
            yield problem

    def explain_reach(self, group_size: int, where: str) -> str | None:
        """See `FusionRule`."""
        total, needed = self.count_votes(group_size)
        if needed <= total:
            return None
        what = "a group of one expression" if group_size == 1 else f"a group of {group_size} expressions"
        advice = "lower the threshold or add a rule for singles" if group_size == 1 else "lower the threshold"
        votes = "1 vote" if self._in_votes(total) == "1" else f"{self._in_votes(total)} votes"
        return f"{what}, {where}, has {votes} but needs {self._in_votes(needed)}; {advice}"

    def count_votes(self, group_size: int) -> tuple[int, int]:
        """Return the votes that a group of this size has, and those that it needs, in units of the weights."""
        total = sum(self.integer_weights()) * group_size
        return total, self.count_needed(total, group_size)

    def count_needed(self, total: int, group_size: int) -> int:
        """Return the votes that keep a pixel, at least 1, of those of the members that answer, in units of weights."""
        threshold, unit = self.threshold_for(group_size), scale_weights(self.exact_weights())[1]
        return 1 if threshold is None else max(1, threshold.needed(total, unit))

    def with_threshold(self, threshold: Threshold) -> Votes:
        """Return the same rule with another threshold."""
        return replace(self, threshold=threshold)

    def fuse_group(self, rows: Rows, fits: Sequence[ScoreFit] | None) -> tuple[bytes, ...]:
        """See `FusionRule`."""
        if (only := self.take_only(rows)) is not None:
            return only
        present = list_present(rows)
        weights = [self.integer_weights()[member] for member, _ in present]
        needed = self.count_needed(sum(weights), len(rows))
        return vote([sequence for _, sequence in present], needed=needed, weights=weights).encode()

    def _in_votes(self, scaled: int) -> str:
        """Return votes as the recipe counts them."""
        unit = scale_weights(self.exact_weights())[1]
        return str(float(scaled / unit)).removesuffix(".0")
