"""Directions of movement in sentences."""

from __future__ import annotations

import pytest

from rvos.language.directions import find_directions


@pytest.mark.parametrize(
    ("sentence", "directions"),
    [
        ("the cat walking to the left", ("left",)),
        ("a car that moves right", ("right",)),
        ("the bird flies up", ("up",)),
        ("a dog moving leftwards", ("left",)),
        ("the plane going slowly upward", ("up",)),
        ("a fish swimming from left to right", ("right",)),
        ("the ball that rolls from the right side to the left", ("left",)),
        ("moves left, then goes to the right", ("left", "right")),
        ("the one on the left", ()),
        ("the man walking on the left", ()),
        ("the cat moving from the left", ()),
        ("a woman who runs near the right", ()),
        ("the dog that moves left of the tree", ()),
        ("the cat that is left alone", ()),
        ("the elephant standing up", ()),
        ("a moving truck and the left car", ("left",)),
        ("", ()),
    ],
)
def test_a_direction_is_one_of_movement(sentence: str, directions: tuple[str, ...]) -> None:
    assert find_directions(sentence) == directions
