"""Properties of the frames that make clips and sequences."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rvos_fusion.training.data.sampling import around, reflect, spread, walk, windows

SEEDS = st.integers(0, 10_000)


@given(n_frames=st.integers(1, 40), n_picked=st.integers(1, 8), seed=SEEDS, data=st.data())
def test_clips_around_a_centre(n_frames: int, n_picked: int, seed: int, data: st.DataObject) -> None:
    centre = data.draw(st.integers(0, n_frames - 1))
    picked = around(n_frames, centre, n_picked, np.random.default_rng(seed))
    assert len(picked) == n_picked
    assert picked == sorted(picked)
    assert centre in picked
    assert all(0 <= frame < n_frames for frame in picked)
    if n_frames >= 20 and n_picked >= 3:
        near = [frame for frame in picked if abs(frame - centre) <= 3]
        assert len(near) >= 3 or centre in (0, n_frames - 1)


@given(n_frames=st.integers(1, 60), length=st.integers(1, 12))
def test_windows_cover_the_video(n_frames: int, length: int) -> None:
    cut = windows(n_frames, length)
    assert all(len(window) == length for window in cut)
    assert {frame for window in cut for frame in window} == set(range(n_frames))
    if n_frames >= length:
        assert all(window == list(range(window[0], window[0] + length)) for window in cut)
        assert len(cut) == -(-n_frames // length)


def test_short_video_repeats_its_last_frame() -> None:
    assert windows(3, 5) == [[0, 1, 2, 2, 2]]
    assert windows(10, 4) == [[0, 1, 2, 3], [4, 5, 6, 7], [6, 7, 8, 9]]


@given(n_frames=st.integers(1, 40), n_picked=st.integers(1, 10), seed=SEEDS)
def test_spread_frames_are_one_from_each_part(n_frames: int, n_picked: int, seed: int) -> None:
    picked = spread(n_frames, n_picked, np.random.default_rng(seed))
    assert picked == sorted(picked)
    for part, frame in enumerate(picked):
        assert int(part * n_frames / n_picked) <= frame <= (part + 1) * n_frames / n_picked


@given(n_frames=st.integers(1, 30), most=st.integers(1, 12), seed=SEEDS)
def test_walks_stay_in_the_video(n_frames: int, most: int, seed: int) -> None:
    picked = walk(n_frames, 0, 5, np.random.default_rng(seed), most=most)
    assert picked[0] == 0
    assert all(0 <= frame < n_frames for frame in picked)
    assert all(abs(after - before) <= most for before, after in pairwise(picked))


def test_indices_are_reflected_at_both_ends() -> None:
    assert [reflect(index, 4) for index in range(-4, 9)] == [2, 3, 2, 1, 0, 1, 2, 3, 2, 1, 0, 1, 2]
    assert reflect(17, 1) == 0
