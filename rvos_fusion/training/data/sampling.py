"""Which frames make a clip."""

from __future__ import annotations

from itertools import pairwise

import numpy as np


def around(n_frames: int, centre: int, n_picked: int, random: np.random.Generator, *, reach: int = 3) -> list[int]:
    """Return `n_picked` sorted frames: `centre`, one up to `reach` before and after it, others from anywhere else.

    Neighbours are clamped to the video, so they may repeat; frames from outside the span do not while there are enough.
    Source: referformer.md, section 12, clip sampling.
    """
    picked = [centre]
    if n_picked > 1:
        before, after = random.integers(1, reach + 1, size=2)
        picked += [max(0, centre - int(before)), min(n_frames - 1, centre + int(after))][: n_picked - 1]
    missing = n_picked - len(picked)
    if missing > 0:
        outside = [frame for frame in range(n_frames) if not min(picked) <= frame <= max(picked)]
        pool = outside or list(range(n_frames))
        picked += [int(frame) for frame in random.choice(pool, size=missing, replace=len(pool) < missing)]
    return sorted(picked)


def windows(n_frames: int, length: int) -> list[list[int]]:
    """Return consecutive windows without overlap; a short last one is replaced by the last `length` frames.

    A video shorter than `length` is one window that repeats its last frame. Source: soc.md, section 6.3.
    """
    if n_frames <= length:
        return [[*range(n_frames), *[n_frames - 1] * (length - n_frames)]]
    starts = [*range(0, n_frames - length + 1, length)]
    if starts[-1] + length < n_frames:
        starts.append(n_frames - length)
    return [list(range(start, start + length)) for start in starts]


def spread(n_frames: int, n_picked: int, random: np.random.Generator) -> list[int]:
    """Return `n_picked` sorted frames, one of each of as many equal parts; they repeat where the video is shorter."""
    edges = np.linspace(0, n_frames, n_picked + 1)
    return [min(int(random.uniform(low, high)), n_frames - 1) for low, high in pairwise(edges)]


def walk(n_frames: int, start: int, n_picked: int, random: np.random.Generator, *, most: int) -> list[int]:
    """Return frames from `start` on, gaps uniform in 1 to `most`, reflected. Source: aot.md, section 12, frame gaps."""
    picked = [start]
    for gap in random.integers(1, most + 1, size=n_picked - 1):
        picked.append(picked[-1] + int(gap))
    return [reflect(index, n_frames) for index in picked]


def reflect(index: int, length: int) -> int:
    """Return `index` reflected into 0 to `length - 1` at both ends."""
    if length == 1:
        return 0
    period = 2 * (length - 1)
    index %= period
    return index if index < length else period - index
