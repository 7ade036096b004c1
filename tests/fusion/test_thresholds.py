"""Thresholds: forms, integers, ties."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from fusion.thresholds import Threshold, scale_weights
from fusion.votes import count_votes
from rvos.errors import FusionError
from rvos.masks.runs import Runs


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


@pytest.mark.parametrize(
    "text",
    ["", "three", "-1", "0", "0.0", "7 of 6", "3 of 0", "1.5", "1/0", "nan", "1e9", "9" * 5000, "0." + "1" * 5000],
)
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


@pytest.mark.parametrize(
    "weights",
    [
        (Fraction(3 * 10**18),) * 3,
        (Fraction(1, 10**12), Fraction(1)),
        (Fraction(10) ** 100000, Fraction(1)),
        (Fraction(1, 99991), Fraction(1, 99989)),
    ],
    ids=["large", "small", "without end", "denominators"],
)
def test_weights_beyond_exact_integers_are_refused(weights: tuple[Fraction, ...]) -> None:
    with pytest.raises(FusionError, match="votes are counted exactly"):
        scale_weights(weights)


def test_the_largest_weights_are_counted_exactly() -> None:
    masks = [Runs.from_masks(np.array([[[True, index == 0]]])) for index in range(3)]
    weights = scale_weights((Fraction(10**9), Fraction(10**9 - 1), Fraction(10**9)))[0]
    votes = count_votes(masks, weights)
    assert votes.keep(sum(weights)).area() == 1
    assert votes.keep(10**9).area() == 2
    assert votes.keep(10**9 + 1).area() == 1
