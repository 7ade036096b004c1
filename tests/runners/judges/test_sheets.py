"""Sheets: every candidate has its outline, its number and its crop, and the same candidates give the same pixels."""

from __future__ import annotations

import numpy as np
import pytest

from runners.judges.sheets import COLOURS, draw_sheet
from rvos.errors import InputError
from rvos.masks.mask_sequences import encode
from rvos.masks.tracklets import Tracklet

SIZE = (60, 80)
N_FRAMES = 5


def make(place: int, frames: range = range(N_FRAMES), size: tuple[int, int] = SIZE) -> Tracklet:
    masks = np.zeros((N_FRAMES, *size), np.bool_)
    masks[list(frames), 20:40, 20 * place : 20 * place + 12] = True
    names = tuple(map(str, range(N_FRAMES)))
    return Tracklet("v", str(place), names, size, encode(masks), np.ones(N_FRAMES, np.float32), 1.0, 0)


def read_frame(index: int) -> np.ndarray:
    return np.full((*SIZE, 3), 10 + index, np.uint8)


def has(picture: np.ndarray, colour: tuple[int, int, int]) -> bool:
    return bool((picture == colour).all(axis=2).any())


def test_frames_stand_in_rows_and_crops_beside_them() -> None:
    sheet = draw_sheet(read_frame, {1: make(0), 2: make(1)}, range(N_FRAMES), width=40)
    assert sheet.shape == (2 * 30, 3 * 40 + 30, 3)
    cells = [sheet[30 * (k // 3) : 30 * (k // 3) + 30, 40 * (k % 3) : 40 * (k % 3) + 40] for k in range(6)]
    for place, cell in enumerate(cells[:N_FRAMES]):
        assert has(cell, (10 + place,) * 3)
        assert has(cell, COLOURS[0])
        assert has(cell, COLOURS[1])
    assert not cells[5].any()
    assert has(sheet[:30, 120:], COLOURS[0])
    assert has(sheet[30:, 120:], COLOURS[1])


def test_a_candidate_is_marked_only_where_it_is_seen() -> None:
    sheet = draw_sheet(read_frame, {1: make(0), 2: make(2, range(1, 2))}, (0, 1), width=80)
    assert not has(sheet[:, :80], COLOURS[1])
    assert has(sheet[:, 80:160], COLOURS[1])


def test_numbers_are_part_of_the_pixels_and_small_frames_are_not_enlarged() -> None:
    first = draw_sheet(read_frame, {1: make(0)}, (0,), width=800)
    assert first.shape[:2] == (60, 80 + 60)
    assert (draw_sheet(read_frame, {1: make(0)}, (0,), width=800) == first).all()
    assert (draw_sheet(read_frame, {2: make(0)}, (0,), width=800) != first).any()


def test_a_candidate_that_no_shown_frame_has_gets_a_black_crop() -> None:
    sheet = draw_sheet(read_frame, {1: make(0, range(4, 5))}, (0, 1), width=80)
    assert not sheet[30:60, 160:].any()


def test_candidates_of_another_size_are_refused() -> None:
    with pytest.raises(InputError, match=r"v/3: frame of size \(60, 80\), candidates of \(60, 90\)"):
        draw_sheet(read_frame, {1: make(0, size=(60, 90))}, (3,), width=80)
