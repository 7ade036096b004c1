"""Thresholds of a vote, compared in integers: as a float, "k of n" misses its own ties (first at 5 of 9)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Literal

from rvos.errors import FusionError

ThresholdKind = Literal["count", "share", "fraction"]
_COUNT = re.compile(r"\d{1,9}")
_SHARE = re.compile(r"(\d{1,9})\s*of\s*(\d{1,9})")
_DECIMAL = re.compile(r"\d{0,9}\.\d{1,18}|\d{1,9}/0{0,8}[1-9]\d{0,8}")
_SHOWN = 40

LARGEST_WEIGHT = 10**9
"""Of a member, in the integers that votes are counted in: sums over any group stay far below 2 ** 63."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """How many votes keep a pixel.

    Args:
        kind: `count`: that many votes, whatever the group; `share`: "k of n", exact for groups with n votes and the
            same share of the votes for others; `fraction`: that part of the votes.
        value: the count, or the part k / n.
    """

    kind: ThresholdKind
    value: Fraction

    def __post_init__(self) -> None:
        _check_range(self.kind, self.value, str(self))

    @classmethod
    def parse(cls, text: str) -> Threshold:
        """Return what `3`, `3 of 6`, `0.5` or `1/2` says. Raises FusionError: other text, zero, or a part above 1."""
        text = text.strip()
        if _COUNT.fullmatch(text):
            return cls("count", Fraction(int(text)))
        share = _SHARE.fullmatch(text)
        if share and int(share[2]) > 0:
            return cls("share", Fraction(int(share[1]), int(share[2])))
        if _DECIMAL.fullmatch(text):
            _check_range("fraction", Fraction(text), text)  # as it is written
            return cls("fraction", Fraction(text))
        shown = text if len(text) <= _SHOWN else text[:_SHOWN] + "..."
        raise FusionError(f"threshold {shown!r} is not understood; write a count (3), k of n (3 of 6) or a part (0.5)")

    def needed(self, votes: int, unit: int = 1) -> int:
        """Return the smallest sum that passes, of integer weights in which `unit` is one vote and `votes` are all."""
        exact = self.value * (unit if self.kind == "count" else votes)
        return -(-exact.numerator // exact.denominator)

    def __str__(self) -> str:
        """Return a form that `parse` reads."""
        if self.kind == "share":
            return f"{self.value.numerator} of {self.value.denominator}"
        return str(self.value)


def _check_range(kind: ThresholdKind, value: Fraction, shown: str) -> None:
    if value <= 0:
        raise FusionError(f"threshold {shown}: every pixel would pass; give more than 0")
    if kind != "count" and value > 1:
        raise FusionError(f"threshold {shown}: no vote can reach more than all; give at most 1")


def list_sums(weights: Sequence[Fraction], group_size: int) -> list[Fraction]:
    """Return all sums of votes above 0 that a group can give, ascending; the last is everything."""
    sums = {Fraction(0)}
    for weight in weights:
        sums = {total + count * weight for total in sums for count in range(group_size + 1)}
    return sorted(sums)[1:]


def scale_weights(weights: tuple[Fraction, ...]) -> tuple[tuple[int, ...], int]:
    """Return weights as integers, and that of weight 1. Raises FusionError: none above 0, or integers above 10^9."""
    if any(weight <= 0 for weight in weights):
        raise FusionError(f"weights {_show(weights)}: each must be above 0; drop the member instead")
    unit = lcm(*(weight.denominator for weight in weights))
    scaled = tuple(int(weight * unit) for weight in weights)
    if max(*scaled, unit) > LARGEST_WEIGHT:
        raise FusionError(
            f"weights {_show(weights)}: votes are counted exactly, in integers up to {LARGEST_WEIGHT}; "
            "give weights of fewer digits"
        )
    return scaled, unit


def _show(weights: tuple[Fraction, ...]) -> str:
    """Return weights as text; a huge one, which Python refuses to write out, in powers of ten."""
    return ", ".join(
        str(weight) if max(abs(weight.numerator), weight.denominator) < 10**_SHOWN else "with too many digits"
        for weight in weights
    )
