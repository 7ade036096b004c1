"""Evidence against a target: only what every candidate contradicts counts, and nothing that is not said."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from fusion.evidence.predicates import EVIDENCE, measure_evidence
from fusion.evidence.tracks import Track, find_camera
from rvos.language.claims import find_claims

N_FRAMES = 6


def track(
    start: tuple[float, float] = (0.5, 0.5),
    move: tuple[float, float] = (0.0, 0.0),
    *,
    areas: Sequence[float] = (100,) * N_FRAMES,
    label: str = "star",
) -> Track:
    time = np.linspace(0, 1, N_FRAMES)[:, None]
    centres = np.array(start) + time * np.array(move)
    sizes = np.array(areas, np.float64)
    centres[sizes == 0] = np.nan
    return Track(label, centres, sizes)


def find(sentence: str, *tracks: Track, by_noun: bool = True) -> dict[str, float]:
    """Return the evidence that is there, of the tracks of stars."""
    named = [one for one in tracks if one.label == "star"]
    values = measure_evidence(find_claims(sentence), named, tracks, by_noun=by_noun)
    return {name: round(value, 3) for name, value in zip(EVIDENCE, values.tolist(), strict=True) if value}


LEFT, RIGHT = track(move=(-0.3, 0)), track(move=(0.3, 0))


def test_what_is_not_said_is_contradicted_by_nothing() -> None:
    assert find("the star", track(), LEFT) == {}


def test_a_noun_that_nothing_was_found_by() -> None:
    assert find("the star", track(label="ball")) == {"class": 1.0}
    assert find("the star", track(label="ball"), by_noun=False) == {}


def test_what_a_detector_says_of_a_noun_goes_before_what_it_found() -> None:
    named, claims = [track()], find_claims("the star")
    assert measure_evidence(claims, named, named, by_noun=True, presence=0.1)[0] == pytest.approx(0.9)
    assert measure_evidence(claims, [], [], by_noun=True, presence=1.0)[0] == 0.0


def test_a_number_that_is_not_there() -> None:
    assert find("the three stars", track(), track()) == {"number": 1.0}
    assert find("the two stars", track(), track(), track()) == {}
    assert find("the three stars", track(), by_noun=False) == {}


def test_a_direction_in_which_no_candidate_moves() -> None:
    assert find("the star moving left", RIGHT) == {"direction": 1.0}
    assert find("the star moving left", RIGHT, LEFT) == {}
    assert find("the star moving left", track(move=(-0.05, 0))) == {"direction": 0.5}
    assert find("the star that goes upwards", track(move=(0, -0.2))) == {}
    assert find("the star that goes upwards", track(move=(0, 0.2))) == {"direction": 1.0}


def test_the_movement_of_the_camera_is_taken_out() -> None:
    others = [track((x, 0.2), (-0.2, 0), label="ball") for x in (0.3, 0.6, 0.9)]
    assert find_camera(others)[-1] == pytest.approx([-0.2, 0])
    assert find("the star moving left", track(move=(-0.2, 0)), *others) == {"direction": 1.0}
    assert find("the star moving left", track(move=(-0.4, 0)), *others) == {}
    assert not find_camera(others[:2]).any()


GROWING = (60, 70, 80, 100, 120, 140)


@pytest.mark.parametrize(
    ("sentence", "areas", "is_contradicted"),
    [
        ("the growing star", GROWING, False),
        ("the shrinking star", GROWING, True),
        ("the growing star", GROWING[::-1], True),
        ("the star that comes into view", (0, 0, 50, 100, 100, 100), False),
        ("the star that comes into view", (100, 100, 100, 50, 0, 0), True),
        ("the star that goes out of view", (100, 100, 100, 50, 0, 0), False),
        ("the star that goes out of view", (0, 0, 50, 100, 100, 100), True),
    ],
)
def test_a_change_that_happens_to_no_candidate(sentence: str, areas: Sequence[float], is_contradicted: bool) -> None:
    assert find(sentence, track(areas=areas)) == ({"change": 1.0} if is_contradicted else {})


def test_a_side_on_which_no_candidate_is() -> None:
    ball = track((0.2, 0.5), label="ball")
    assert find("the star left of the ball", track((0.8, 0.5)), ball) == {"relation": 1.0}
    assert find("the star right of the ball", track((0.8, 0.5)), ball) == {}
    # The ball is meant, not the box; without any ball everything else may be.
    box = track((0.9, 0.5), label="box")
    assert find("the star left of the ball", track((0.8, 0.5)), ball, box) == {"relation": 1.0}
    assert find("the star left of the ring", track((0.8, 0.5)), ball, box) == {}
    assert find("the star left of the ring", track((0.8, 0.5))) == {}


def test_half_of_the_frames_are_half_the_evidence() -> None:
    ball = track((0.2, 0.5), (0.6, 0), label="ball")
    assert find("the star left of the ball", track((0.5, 0.5)), ball) == {"relation": 0.5}


def test_nothing_at_all_contradicts_only_the_noun() -> None:
    assert find("the three stars moving left of the ball") == {"class": 1.0, "number": 1.0}
