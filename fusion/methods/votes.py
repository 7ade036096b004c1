"""Votes: the pixels that enough members mark, over all expressions of a group. Source: seed paper, Eq. 3."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from fusion.assignment import ScoreFit
from fusion.methods.singles import RuleWithSingles
from fusion.rules import Rows
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
        weights, unit = scale_weights(self.exact_weights())
        total = sum(weights) * group_size
        threshold = self.threshold_for(group_size)
        return total, 1 if threshold is None else threshold.needed(total, unit)

    def with_threshold(self, threshold: Threshold) -> Votes:
        """Return the same rule with another threshold."""
        return replace(self, threshold=threshold)

    def fuse_group(self, rows: Rows, fits: Sequence[ScoreFit] | None) -> tuple[bytes, ...]:
        """See `FusionRule`."""
        if (only := self.take_only(rows)) is not None:
            return only
        everyone = [sequence for row in rows for sequence in row]
        weights = self.integer_weights() * len(rows)
        return vote(everyone, needed=self.count_votes(len(rows))[1], weights=weights).encode()

    def _in_votes(self, scaled: int) -> str:
        """Return votes as the recipe counts them."""
        unit = scale_weights(self.exact_weights())[1]
        return str(float(scaled / unit)).removesuffix(".0")
