"""The text of compressed COCO run lengths: many masks are read or written in one pass over all their characters.

A mask is its run lengths down the columns, background first. From the fourth number on, a number is the change to the
run two before. A number is written five bits at a time, lowest first; a sixth bit says that more follow.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from time import perf_counter_ns

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError

_OFFSET = 48
_MORE = 32
_DIGIT_BITS = 5
_MAX_DIGITS = 7

SPREADS = (1, 2)
_TRIED, _TRIES = 1 << 14, 5  # numbers: 64 KiB, as little as says something; a tenth of a millisecond in all

Integers = NDArray[np.int64]
Positions = NDArray[np.signedinteger]


def position_type(n_positions: int) -> type[np.signedinteger]:
    """Return the integers that count so many positions: the shorter ones take half of the time to sort and sum up."""
    return np.int32 if n_positions < 1 << 30 else np.int64


def accumulate(operation: np.ufunc, values: Positions) -> Positions:
    """Return `operation.accumulate` of integers of 32 or 64 bits."""
    return accumulate_spread(operation, values, _find_spread(operation, values.dtype.char))


def accumulate_spread(operation: np.ufunc, values: Positions, spread: int) -> Positions:
    """Return `operation.accumulate`, each total written `spread` places after the one before."""
    totals = np.empty((values.size, spread), values.dtype)
    operation.accumulate(np.ascontiguousarray(values), out=totals[:, 0])
    return totals[:, 0]


@cache
def _find_spread(operation: np.ufunc, kind: str) -> int:
    """Return the spread that this processor is faster with.

    Each total needs the one before. Some processors wait until that is written before they read it again where both
    lie side by side, others where they do not: either way is up to five times as fast as the other somewhere.
    """
    values = np.ones(_TRIED, kind)

    def measure(spread: int) -> int:
        spans = []
        for _ in range(_TRIES):
            start = perf_counter_ns()
            accumulate_spread(operation, values, spread)
            spans.append(perf_counter_ns() - start)
        return min(spans)

    return min(SPREADS, key=measure)


def read_lengths(counts: Sequence[bytes], largest: int, kind: type[np.signedinteger]) -> tuple[Positions, ...]:
    """Return what masks consist of. Raises InputError: malformed run lengths.

    Args:
        counts: text of every mask.
        largest: pixels of the largest mask, below 2 ** 30.
        kind: of the returned integers.

    Returns:
        Lengths of each background and the foreground after it `(2 R,)`; the number of these of each mask `(T,)`; the
        last background of each mask `(T,)`, 0 where it ends with foreground.
    """
    numbers, per_mask = _read_numbers(counts, largest, kind)
    lengths, n_lengths, rest = _undo_differences(numbers, per_mask)
    # A sum beyond the range of the integers turns negative on its way: no number is larger than a mask.
    if min(lengths.min(initial=0), rest.min(initial=0)) < 0:
        raise InputError("run lengths: a negative run; encode the mask again")
    return lengths, n_lengths, rest


def write_lengths(edges: Positions, n_frames: int, stride: int) -> tuple[bytes, ...]:
    """Return the text of T masks.

    Args:
        edges: `(2 R,)` starts and ends of the runs of all masks in turn, none empty; mask t begins at `t * stride`.
        stride: pixels of a mask, and one more.
    """
    if n_frames == 0:
        return ()
    numbers, per_mask = _to_lengths(edges, n_frames, stride)
    _make_differences(numbers, per_mask)
    text, ends = _write_numbers(numbers, np.cumsum(per_mask))
    return tuple(text[a:b] for a, b in zip([0, *ends[:-1]], ends, strict=True))


def _read_numbers(counts: Sequence[bytes], largest: int, kind: type[np.signedinteger]) -> tuple[Positions, Integers]:
    """Return the stored numbers of all masks in one array, and how many each mask has `(T,)`."""
    sizes = np.fromiter(map(len, counts), np.int64, len(counts))
    bounds = np.cumsum(sizes)
    digits = np.frombuffer(b"".join(counts), np.uint8) - np.uint8(_OFFSET)  # what lies below wraps to above
    if sizes.min(initial=1) == 0:
        raise InputError("run lengths: a frame has none; encode the mask again")
    if digits.max(initial=0) >= 2 * _MORE or np.any(digits[bounds - 1] & _MORE):
        raise InputError("run lengths: characters outside the COCO alphabet or a cut end; encode the mask again")
    is_last = digits < _MORE
    earlier = np.flatnonzero(~is_last)  # few: most numbers are small differences
    # The fifth bit of the last digit is the sign, and goes on above it.
    sign = np.uint8(1 << (_DIGIT_BITS - 1))
    last = ((digits[is_last] ^ sign) - sign).view(np.int8)
    numbers = last.astype(kind)
    owners = earlier - np.arange(earlier.size)
    first = np.flatnonzero(np.diff(owners, prepend=-1))
    longer, n_earlier = owners[first], np.diff(first, append=owners.size)
    if n_earlier.max(initial=0) >= _MAX_DIGITS:
        raise InputError("run lengths: a number of more than 35 bits; encode the mask again")
    if earlier.size:
        place = np.arange(earlier.size) - np.repeat(first, n_earlier)
        low = np.add.reduceat((digits[earlier] & (_MORE - 1)).astype(np.int64) << (_DIGIT_BITS * place), first)
        large = (last[longer].astype(np.int64) << (_DIGIT_BITS * n_earlier)) + low
        if np.abs(large).max() > largest:
            raise InputError(f"run lengths: a number beyond the {largest} pixels of a frame; encode the mask again")
        numbers[longer] = large
    per_mask = np.diff(bounds - np.searchsorted(earlier, bounds), prepend=0)
    return numbers, per_mask


def _undo_differences(numbers: Positions, per_mask: Integers) -> tuple[Positions, Integers, Positions]:
    """Return lengths, their number and last backgrounds as `read_lengths`."""
    is_odd = (per_mask & 1) == 1
    last = np.cumsum(per_mask) - 1
    rest = np.where(is_odd, numbers[last], 0).astype(numbers.dtype, copy=False)
    is_paired = np.ones(numbers.size, np.bool_)
    is_paired[last[is_odd]] = False
    lengths = numbers[is_paired]
    n_runs = per_mask // 2
    first = np.cumsum(n_runs) - n_runs
    several = first[n_runs > 1]
    lengths[2 * several + 2] -= lengths[2 * several]  # the second background is no change
    filled = first[n_runs > 0]
    for column in (lengths[0::2], lengths[1::2]):
        if filled.size:
            column[filled[1:]] -= np.add.reduceat(column, filled)[:-1]  # sums start anew in every mask
            column[:] = accumulate(np.add, column)
    late = is_odd & (n_runs > 1)
    rest[late] += lengths[2 * (first + n_runs - 1)[late]]
    return lengths, 2 * n_runs, rest


def _make_differences(lengths: Positions, per_mask: Integers) -> None:
    """Undo `_undo_differences`, on lengths that hold the last backgrounds too."""
    changes = lengths[2:] - lengths[:-2]
    first = np.cumsum(per_mask) - per_mask
    kept = (first[:, None] + np.arange(3))[np.arange(3) < per_mask[:, None]]
    unchanged = lengths[kept]
    lengths[2:] = changes
    lengths[kept] = unchanged


def _to_lengths(edges: Positions, n_frames: int, stride: int) -> tuple[Positions, Integers]:
    """Return the run lengths of all masks, background first, and their number a mask."""
    frame_start = np.arange(n_frames) * stride
    bounds = np.searchsorted(edges[0::2], [*frame_start.tolist(), n_frames * stride])
    first, after = 2 * bounds[:-1], 2 * bounds[1:]
    lengths = np.diff(edges, prepend=edges[:1])
    filled = first < after
    lengths[first[filled]] = edges[first[filled]] - frame_start[filled]
    end = frame_start.copy()
    end[filled] = edges[after[filled] - 1]
    rest = frame_start + stride - 1 - end
    has_rest = rest > 0
    return np.insert(lengths, after[has_rest], rest[has_rest]), after - first + has_rest


def _write_numbers(numbers: Positions, bounds: Integers) -> tuple[bytes, list[int]]:
    """Return the text of all numbers, and where it ends after the first `bounds` of them."""
    # Few numbers have a second digit, fewer a third: each round inserts one more digit of those.
    half = _MORE // 2
    longer = np.flatnonzero((numbers < -half) | (numbers >= half))
    digits = (numbers & (_MORE - 1)).astype(np.uint8)
    digits[longer] |= _MORE
    places, further = [], []
    rest = numbers[longer]
    while longer.size:
        rest = rest >> _DIGIT_BITS
        has_more = (rest < -half) | (rest >= half)
        places.append(longer + 1)
        further.append(((rest & (_MORE - 1)) + _MORE * has_more).astype(np.uint8))
        longer, rest = longer[has_more], rest[has_more]
    if not places:
        return (digits + np.uint8(_OFFSET)).tobytes(), bounds.tolist()
    inserted = np.concatenate(places)
    order = np.argsort(inserted, kind="stable")
    inserted = inserted[order]
    text = np.insert(digits, inserted, np.concatenate(further)[order])
    ends = bounds + np.searchsorted(inserted, bounds, side="right")
    return (text + np.uint8(_OFFSET)).tobytes(), ends.tolist()
