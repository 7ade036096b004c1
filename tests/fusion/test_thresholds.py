"""Thresholds: forms, integers, ties."""

from __future__ import annotations

from fractions import Fraction

import pytest

from fusion.thresholds import Threshold, scale_weights
from rvos.errors import FusionError


@pytest.mark.parametrize(
    ("text", "votes", "needed"),
    [
        ("3", 6, 3),
        ("3 of 6", 6, 3),
        ("3 of 6", 3, 2),
        ("4 of 8", 4, 2),
        ("0.5", 6, 3),
        ("0.5", 3, 2),
        ("1/3", 6, 2),
        ("1.0", 5, 5),
        ("5 of 9", 9, 5),
        ("0.55", 20, 11),
    ],
)
def test_needed_votes(text: str, votes: int, needed: int) -> None:
    assert Threshold.parse(text).needed(votes) == needed


def test_every_share_of_up_to_60_votes_is_exact() -> None:
    for n in range(1, 61):
        assert [Threshold.parse(f"{k} of {n}").needed(n) for k in range(1, n + 1)] == list(range(1, n + 1))


@pytest.mark.parametrize("text", ["", "three", "-1", "0", "0.0", "7 of 6", "3 of 0", "1.5", "1/0", "nan"])
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(FusionError, match="threshold"):
        Threshold.parse(text)


def test_weights_become_integers_and_a_count_stays_a_count() -> None:
    weights, unit = scale_weights((Fraction("1"), Fraction("0.5"), Fraction("2.25")))
    assert (weights, unit) == ((4, 2, 9), 4)
    assert Threshold.parse("3").needed(sum(weights), unit) == 12


def test_weights_of_zero_are_refused() -> None:
    with pytest.raises(FusionError, match="above 0"):
        scale_weights((Fraction(1), Fraction(0)))
