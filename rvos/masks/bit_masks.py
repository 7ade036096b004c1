"""Runs as bits, 64 pixels a word: from boundaries to what contours are counted on, without a dense mask between."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rvos.masks.runs import Runs

WORD = 64
_STEPS = (1, 2, 4, 8, 16, 32)

Words = NDArray[np.uint64]


def to_words(runs: Runs, columns: tuple[int, int] | None = None) -> Words:
    """Return the masks `(T, W, H // 64 + 1)` uint64, column by column as run lengths are.

    Pixel (y, x) of frame t is bit `y % 64` of word `[t, x, y // 64]`; bits beyond the last row are 0. J and F do not
    change when rows and columns are swapped in both masks, so scores need no transposition.

    Args:
        columns: (first, end) of those wanted, all foreground included; None: all W.
    """
    height, width = runs.size
    first, end = columns or (0, width)
    per_column = height // WORD + 1
    flat = np.zeros(runs.n_frames * (end - first) * per_column + 1, np.uint64)
    _toggle(flat, runs, first, end - first)
    _fill_between(flat)
    words: Words = flat[:-1].reshape(runs.n_frames, end - first, per_column)
    words[:, :, -1] &= np.uint64((1 << (height % WORD)) - 1)
    return words


def find_columns(masks: Sequence[Runs]) -> tuple[int, int]:
    """Return the first column with foreground in any frame of any mask, and the one after the last; (0, 0) without."""
    filled = [mask for mask in masks if mask.starts.size]
    if not filled:
        return 0, 0
    first = min(int((mask.starts % mask.stride).min()) // mask.size[0] for mask in filled)
    last = max(int(((mask.ends - 1) % mask.stride).max()) // mask.size[0] for mask in filled)
    return first, last + 1


def _toggle(flat: Words, runs: Runs, first_column: int, n_columns: int) -> None:
    """Set a bit at every boundary; two at the same place cancel."""
    height = runs.size[0]
    frame, pixel = np.divmod(runs.edges, runs.stride)
    column, row = np.divmod(pixel, height)
    place = (frame * n_columns + column - first_column) * (height // WORD + 1) + row // WORD
    if not place.size:
        return
    first = np.flatnonzero(np.diff(place, prepend=-1))
    bits = np.uint64(1) << (row % WORD).astype(np.uint64)
    flat[place[first]] = np.bitwise_xor.reduceat(bits, first)


def _fill_between(flat: Words) -> None:
    """Turn boundaries into filled runs, in place: each bit becomes the parity of the boundaries up to it."""
    for step in _STEPS:
        flat ^= flat << np.uint64(step)
    odd = (flat >> np.uint64(WORD - 1)).astype(np.bool_)
    carried = np.logical_xor.accumulate(odd)[:-1]
    flat[1:][carried] ^= np.uint64(0xFFFFFFFFFFFFFFFF)
