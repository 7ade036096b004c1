"""Clean-up of masks: islands and holes below a part of the mask's area."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fusion.clean_up import CleanUpRules, clean_mask, clean_up
from rvos.masks.mask_sequences import MaskSequence


def drawn(text: str) -> np.ndarray:
    return np.array([[letter == "#" for letter in line.split()[0]] for line in text.strip().splitlines()])


ISLANDS = """
    ####......
    ####...#..
    ####......
    .......##.
    .......##.
"""
HOLES = """
    ########..
    #.##...#..
    ####...#..
    ########..
    ###.####..
"""


def test_islands_below_the_part_are_dropped_and_the_largest_stays() -> None:
    # 12, 1 and 4 of 17 pixels.
    small, all_but_one = CleanUpRules(islands=0.1), CleanUpRules(islands=1.0)
    expected = drawn(ISLANDS)
    expected[1, 7] = False
    assert (clean_mask(drawn(ISLANDS), small) == expected).all()
    expected[3:] = False
    assert (clean_mask(drawn(ISLANDS), all_but_one) == expected).all()


def test_pixels_that_touch_by_a_corner_are_one_island() -> None:
    mask = drawn("##..\n##..\n..##\n..##")
    assert (clean_mask(mask, CleanUpRules(islands=1.0)) == mask).all()


def test_holes_below_the_part_are_filled_and_the_outside_is_none() -> None:
    # Holes of 1 and 6 pixels in a mask of 32; the notch at the lower border is no hole.
    expected = drawn(HOLES)
    expected[1, 1] = True
    assert (clean_mask(drawn(HOLES), CleanUpRules(holes=0.1)) == expected).all()
    expected[1:3, 4:7] = True
    assert (clean_mask(drawn(HOLES), CleanUpRules(holes=1.0)) == expected).all()


@given(arrays(np.bool_, (7, 9)), st.sampled_from([0.0, 0.1, 0.5, 1.0]), st.sampled_from([0.0, 0.1, 1.0]))
def test_any_mask_loses_only_islands_and_gains_only_holes(mask: np.ndarray, islands: float, holes: float) -> None:
    found = clean_mask(mask, CleanUpRules(islands, holes))
    assert found.any() == mask.any()
    border = np.ones_like(mask)
    border[1:-1, 1:-1] = False
    assert not (found & ~mask & border).any()
    if not holes:
        assert not (found & ~mask).any()
    if not islands:
        assert not (mask & ~found).any()
    assert (clean_mask(mask, CleanUpRules()) == mask).all()


def test_frames_are_cleaned_one_by_one_and_nothing_else_changes() -> None:
    masks = np.stack([drawn(ISLANDS), np.zeros((5, 10), bool), np.ones((5, 10), bool)])
    scores = np.array([0.1, 0.2, 0.3], np.float32)
    sequence = MaskSequence.from_masks(masks, video="v", expression="0", frames=("a", "b", "c"), scores=scores)
    assert clean_up(sequence, CleanUpRules()) == sequence.runs
    runs = clean_up(sequence, CleanUpRules(islands=1.0, holes=1.0))
    assert runs[1:] == sequence.runs[1:]
    assert runs[0] != sequence.runs[0]
