"""Votes: the pixels that enough members mark, over all expressions of a group. Source: seed paper, Eq. 3."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import ClassVar, Self

from fusion.assignment import ScoreFit
from fusion.methods.singles import RuleWithSingles
from fusion.rules import Rows, list_present
from fusion.thresholds import Threshold, list_sums, scale_weights
from fusion.votes import VoteCounts, count_sequences


@dataclass(frozen=True, slots=True, kw_only=True)
class Votes(RuleWithSingles):
    """A vote.

    Args:
        threshold: votes needed: a count (`3`), `k of n`, or a part (`0.5`).
    """

    method: ClassVar[str] = "votes"
    cheap: ClassVar[str] = "threshold"

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

    def list_values(self, sizes: Collection[int]) -> Sequence[str]:
        """See `FusionRule`: counts where the recipe has one, as far as all groups reach, else parts that can differ."""
        counted = [size for size in sizes if size > 1 or self.singles is None] or [1]
        weights = self.exact_weights()
        if self.threshold.kind == "count":
            return [str(needed) for needed in range(1, int(sum(weights) * min(counted)) + 1)]
        sums, unit = list_sums(weights, max(counted)), scale_weights(weights)[1]
        return [
            self.own_value() if total / sums[-1] == self.threshold.value else f"{total * unit} of {sums[-1] * unit}"
            for total in sums
        ]

    def own_value(self) -> str:
        """See `FusionRule`."""
        decimal = f"{float(self.threshold.value):g}"
        is_short = self.threshold.kind == "fraction" and Fraction(decimal) == self.threshold.value < 1
        return decimal if is_short else str(self.threshold)

    def with_threshold(self, threshold: Threshold) -> Votes:
        """Return the same rule with another threshold."""
        return replace(self, threshold=threshold)

    @classmethod
    def fuse_group_by_all(
        cls, rules: Sequence[Self], rows: Rows, fits: Sequence[ScoreFit] | None
    ) -> list[tuple[bytes, ...]]:
        """See `FusionRule`; votes are counted once for all rules of the same weights."""
        present = list_present(rows)
        counted: dict[tuple[int, ...], VoteCounts] = {}
        kept: dict[tuple[tuple[int, ...], int], tuple[bytes, ...]] = {}
        found = []
        for rule in rules:
            if (only := rule.take_only(rows)) is not None:
                found.append(only)
                continue
            of_all = rule.integer_weights()
            weights = tuple(of_all[member] for member, _ in present)
            key = weights, rule.count_needed(sum(weights), len(rows))
            if key not in kept:
                if weights not in counted:
                    counted[weights] = count_sequences([sequence for _, sequence in present], weights)
                kept[key] = counted[weights].keep(key[1]).encode()
            found.append(kept[key])
        return found

    def _in_votes(self, scaled: int) -> str:
        """Return votes as the recipe counts them."""
        unit = scale_weights(self.exact_weights())[1]
        return str(float(scaled / unit)).removesuffix(".0")
