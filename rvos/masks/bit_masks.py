"""Runs as bits, 64 pixels a word: from boundaries to what contours are counted on, without a dense mask between."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rvos.masks.runs import Runs

WORD = 64
_SHIFT = 6
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
    flat = _fill(*_find_boundaries(runs, first, end - first), runs.n_frames * (end - first) * per_column)
    words: Words = flat.reshape(runs.n_frames, end - first, per_column)
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


def _find_boundaries(runs: Runs, first_column: int, n_columns: int) -> tuple[NDArray[np.intp], Words]:
    """Return the words that hold boundaries, ascending, and these words with a bit for each; two on one bit cancel."""
    height = runs.size[0]
    # Numbers are never negative: a division, a product and a difference are faster than `divmod`.
    frame = runs.edges // runs.stride
    pixel = runs.edges - frame * runs.stride
    column = pixel // height
    row = pixel - column * height
    place = (frame * n_columns + column - first_column).astype(np.intp) * (height // WORD + 1) + (row >> _SHIFT)
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    bits = np.uint64(1) << (row & (WORD - 1)).astype(np.uint64)
    return place[starts], np.bitwise_xor.reduceat(bits, starts) if starts.size else bits


def _fill(places: NDArray[np.intp], bits: Words, n_words: int) -> Words:
    """Return words filled between boundaries: each bit is the parity of the boundaries up to it."""
    for step in _STEPS:
        bits ^= bits << np.uint64(step)
    # All bits where the words after a boundary lie in a run, none elsewhere.
    after = np.uint64(0) - np.bitwise_xor.accumulate(bits >> np.uint64(WORD - 1))
    bits[1:] ^= after[:-1]
    kept = np.searchsorted(places, n_words)
    reached = np.append(places[:kept], n_words)
    flat = np.zeros(n_words, np.uint64)
    flat[reached[0] :] = np.repeat(after[:kept], np.diff(reached))
    flat[places[:kept]] = bits[:kept]
    return flat
