"""Which mask sequences of a video lie on each other: all pairs at once, from run boundaries."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from rvos.errors import FusionError
from rvos.runs import Runs

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_TOGETHER = 16
"""Sequences that are compared in one pass: which of them mark a piece fits an integer of 16 bits."""


def are_near(masks: Sequence[Runs]) -> Flags:
    """Return which pairs of sequences have a tracklet IoU of at least 0.5, `(N, N)`; an empty one is near to none.

    Raises:
        FusionError: unequal frames or sizes.
    """
    common = intersect_all(masks)
    areas = np.diagonal(common)
    # In integers: IoU >= 1/2 is 2 common >= area + area - common, so that no rounding decides.
    near: Flags = (3 * common >= areas[:, None] + areas[None]) & (common > 0)
    return near


def intersect_all(masks: Sequence[Runs]) -> Integers:
    """Return the number of pixels that both sequences of each pair mark, `(N, N)`; on the diagonal the areas.

    Raises:
        FusionError: unequal frames or sizes.
    """
    n_masks = len(masks)
    if any((mask.n_frames, mask.size) != (masks[0].n_frames, masks[0].size) for mask in masks):
        raise FusionError("masks of unequal frames or sizes cannot be compared; check the members")
    if n_masks <= _TOGETHER:
        return _intersect_few(masks)
    common = np.zeros((n_masks, n_masks), np.int64)
    half = _TOGETHER // 2
    blocks = [range(first, min(first + half, n_masks)) for first in range(0, n_masks, half)]
    for pair in combinations(blocks, 2):
        places = [place for block in pair for place in block]
        common[np.ix_(places, places)] = _intersect_few([masks[place] for place in places])
    return common


def _intersect_few(masks: Sequence[Runs]) -> Integers:
    """Return the common pixels of at most 16 sequences, `(N, N)`.

    The boundaries of all sequences cut the line of pixels into pieces. A piece is marked by a set of sequences, and
    few sets occur, so the pieces are added up by their set before any pair is looked at.
    """
    owners, lengths = _cut_into_pieces(masks)
    # Every boundary of a sequence switches its bit on or off.
    sets = np.bitwise_xor.accumulate(np.uint16(1) << owners.astype(np.uint16))
    totals = np.bincount(sets, weights=lengths) if sets.size else np.zeros(0)
    occurring = np.flatnonzero(totals)
    marked = ((occurring[:, None] >> np.arange(len(masks))) & 1).astype(np.float64)
    # Sums of whole numbers far below 2 ** 53: float64 is exact.
    return np.asarray(np.rint(marked.T @ (marked * totals[occurring, None])), np.int64)


def _cut_into_pieces(masks: Sequence[Runs]) -> tuple[NDArray[np.signedinteger], NDArray[np.signedinteger]]:
    """Return for every boundary in order whose it is, `(P,)`, and the pixels from it to the next."""
    shift = max(len(masks) - 1, 0).bit_length()
    line = masks[0].n_frames * masks[0].stride if masks else 0
    kind: type[np.signedinteger] = np.int32 if line << shift < 1 << 31 else np.int64
    codes: NDArray[np.signedinteger] = np.empty(sum(2 * mask.starts.size for mask in masks), kind)
    place = 0
    for index, mask in enumerate(masks):
        own = codes[place : place + 2 * mask.starts.size]
        own[0::2], own[1::2] = mask.starts, mask.ends
        own <<= shift
        own |= index
        place += own.size
    codes.sort(kind="stable")  # merges the ascending parts
    positions = codes >> shift
    return codes & ((1 << shift) - 1), np.diff(positions, append=positions[-1:])
