"""What sentences claim."""

from __future__ import annotations

import pytest

from rvos.language.claims import Claims, find_claims

NOTHING = Claims(None, (), (), None, "")


@pytest.mark.parametrize(
    ("sentence", "claims"),
    [
        ("the red cat", NOTHING),
        ("", NOTHING),
        ("the three red stars", Claims(3, (), (), None, "")),
        ("both moons", Claims(2, (), (), None, "")),
        ("two of the dogs", NOTHING),
        ("a dog with two tails", NOTHING),
        ("the star that goes to the left", Claims(None, ("left",), (), None, "")),
        ("the growing ball", Claims(None, (), ("grow",), None, "")),
        ("the box getting smaller", Claims(None, (), ("shrink",), None, "")),
        ("the ring that comes into view", Claims(None, (), ("enter",), None, "")),
        ("the ring leaving the picture", Claims(None, (), ("leave",), None, "")),
        ("the ring that goes out of view", Claims(None, (), ("leave",), None, "")),
        ("the ring that leaves and returns", NOTHING),
        ("the ring that goes away and comes back", NOTHING),
        ("the star left of the red ball", Claims(None, (), (), "left", "ball")),
        ("the star on the right of a big blue box", Claims(None, (), (), "right", "box")),
        ("the star that is above the moon", Claims(None, (), (), "up", "moon")),
        ("the star below the moon left of the ball", NOTHING),
        ("the star on the left", NOTHING),
    ],
)
def test_a_claim_is_what_is_said(sentence: str, claims: Claims) -> None:
    assert find_claims(sentence) == claims
