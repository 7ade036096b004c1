"""Which mask sequences of a video lie on each other: all pairs at once, from run boundaries."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rvos.errors import FusionError
from rvos.runs import Runs

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

_TOGETHER = 12
"""Sequences whose states are counted in one table of 2 ** 12 places."""


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

    The boundaries of all sequences cut the line of pixels into pieces. A piece is marked by a set of sequences, and
    few sets occur, so the pieces are added up by their set before any pair is looked at.

    Raises:
        FusionError: unequal frames or sizes.
    """
    if not masks:
        return np.zeros((0, 0), np.int64)
    first = masks[0]
    if any((mask.n_frames, mask.size) != (first.n_frames, first.size) for mask in masks):
        raise FusionError("masks of unequal frames or sizes cannot be compared; check the members")
    owners, lengths = _cut_into_pieces(masks)
    states, marked = _tell_states(owners, len(masks))
    totals = np.bincount(states, weights=lengths, minlength=len(marked))
    # Sums of whole numbers far below 2 ** 53: float64 is exact.
    shared = marked.T @ (marked * totals[:, None])
    return np.asarray(np.rint(shared), np.int64)


def _cut_into_pieces(masks: Sequence[Runs]) -> tuple[Integers, NDArray[np.float64]]:
    """Return for every boundary in order whose it is, `(P,)`, and the pixels from it to the next."""
    n_masks = len(masks)
    sizes = [2 * mask.starts.size for mask in masks]
    codes = np.empty(sum(sizes), np.int64)
    place = 0
    for index, (mask, size) in enumerate(zip(masks, sizes, strict=True)):
        own = codes[place : place + size]
        np.multiply(mask.starts, n_masks, out=own[0::2])
        np.multiply(mask.ends, n_masks, out=own[1::2])
        own += index
        place += size
    codes.sort(kind="stable")  # merges the ascending parts
    positions, owners = np.divmod(codes, n_masks)
    return owners, np.diff(positions, append=positions[-1:]).astype(np.float64)


def _tell_states(owners: Integers, n_masks: int) -> tuple[Integers, NDArray[np.float64]]:
    """Return the set that marks each piece as a number, `(P,)`, and the sets themselves, `(S, N)` of 0 and 1."""
    states = np.zeros(owners.size, np.int64)
    marked = np.zeros((1, 0))
    for first in range(0, n_masks, _TOGETHER):
        count = min(_TOGETHER, n_masks - first)
        bits = np.zeros(n_masks, np.uint16)
        bits[first : first + count] = 1 << np.arange(count)
        # Every boundary of a sequence switches it on or off.
        part, values = _renumber(np.bitwise_xor.accumulate(bits[owners]).astype(np.int64), 1 << count)
        states, pairs = _renumber(states * len(values) + part, len(marked) * len(values))
        earlier, later = np.divmod(pairs, len(values))
        marked = np.hstack([marked[earlier], (values[later][:, None] >> np.arange(count)) & 1])
    return states, marked


def _renumber(numbers: Integers, limit: int) -> tuple[Integers, Integers]:
    """Return numbers below `limit` as places in the list of those that occur, and that list, ascending."""
    if limit > max(4 * numbers.size, 1 << _TOGETHER):  # a table would be larger than what it sorts
        values, places = np.unique(numbers, return_inverse=True)
        return places.astype(np.int64), values
    occurs = np.zeros(limit, np.bool_)
    occurs[numbers] = True
    values = np.flatnonzero(occurs)
    table = np.cumsum(occurs) - 1
    return table[numbers], values
