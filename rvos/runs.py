"""Whole mask sequences as foreground runs: what votes, overlaps and writers compute on instead of pixels.

The T masks of a sequence are laid on one line, column-major (down the first column, then the second), with one
background pixel after each mask, so that no run crosses from one frame into the next. Every array operation then
handles a whole video at once, and its cost grows with the outlines, not with the areas.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError

_OFFSET = 48
_MORE = 32
_DIGIT_BITS = 5
_MAX_DIGITS = 7

Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Foreground runs of T masks.

    Args:
        starts, ends: `(R,)` int64, ascending, half-open; pixel `p` of frame `t` lies at `t * stride + p`.
        n_frames: T.
        size: (H, W).
    """

    starts: Integers
    ends: Integers
    n_frames: int
    size: tuple[int, int]

    @classmethod
    def decode(cls, counts: Sequence[bytes], size: tuple[int, int]) -> Runs:
        """Return the runs of T compressed COCO run lengths.

        Raises:
            InputError: malformed run lengths, or not `H * W` pixels each.
        """
        numbers, per_frame = _read_numbers(counts)
        pairs, rest = _undo_differences(numbers, per_frame)
        if min(pairs.min(initial=0), rest.min(initial=0)) < 0:
            raise InputError("run lengths: a negative run; encode the mask again")
        pixels = size[0] * size[1]
        edges = pairs.ravel()
        n_edges = per_frame - (per_frame & 1)
        filled = np.flatnonzero(n_edges)
        first = (np.cumsum(n_edges) - n_edges)[filled]
        last = first + n_edges[filled] - 1
        frame_start = filled * (pixels + 1)
        # From the end of a frame's runs to the next frame's first, as if every frame were full; that is checked below.
        edges[first] += frame_start
        edges[first[1:]] -= (frame_start + pixels - rest[filled])[:-1]
        np.cumsum(edges, out=edges)
        totals = rest.copy()
        totals[filled] += edges[last] - frame_start
        if np.any(totals != pixels):
            frame = int(np.flatnonzero(totals != pixels)[0])
            raise InputError(
                f"run lengths of frame {frame}: {int(totals[frame])} pixels, expected {size[0]} x {size[1]} = {pixels}"
            )
        return cls(edges[0::2], edges[1::2], len(counts), size)

    @classmethod
    def from_masks(cls, masks: NDArray[np.bool_]) -> Runs:
        """Return the runs of masks `(T, H, W)`."""
        n_frames, height, width = masks.shape
        stride = height * width + 1
        edges = [_find_edges(mask) + frame * stride for frame, mask in enumerate(masks)]
        line = np.concatenate(edges) if edges else np.zeros(0, np.int64)
        return cls(line[0::2], line[1::2], n_frames, (height, width))

    @property
    def stride(self) -> int:
        """Distance between the first pixels of neighbouring frames."""
        return self.size[0] * self.size[1] + 1

    def encode(self) -> tuple[bytes, ...]:
        """Return the T compressed COCO run lengths, equal to those of the COCO library."""
        stride = self.stride
        starts, ends = _drop_empty_runs(self.starts, self.ends)
        runs_per_frame = np.bincount(starts // stride, minlength=self.n_frames)
        lengths, per_frame = _to_lengths(starts, ends, runs_per_frame, stride)
        _make_differences(lengths, per_frame)
        text, digits = _write_numbers(lengths)
        bounds = np.concatenate(([0], np.cumsum(digits)))[np.concatenate(([0], np.cumsum(per_frame)))]
        return tuple(text[a:b] for a, b in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True))

    def areas(self) -> Integers:
        """Return the foreground pixels of every frame, `(T,)`."""
        frames = self.starts // self.stride
        return np.bincount(frames, weights=self.ends - self.starts, minlength=self.n_frames).astype(np.int64)

    def area(self) -> int:
        """Return the foreground pixels of all frames."""
        return int(np.sum(self.ends - self.starts))


def _find_edges(mask: NDArray[np.bool_]) -> Integers:
    """Return where a mask `(H, W)` changes on its way down the columns, an even number of places.

    The mask is compared row by row as it lies in memory; only the few places of change are brought into column order.
    """
    height, width = mask.shape
    changes = np.empty((height, width), np.bool_)
    np.not_equal(mask[1:], mask[:-1], out=changes[1:])
    np.not_equal(mask[0, 1:], mask[-1, :-1], out=changes[0, 1:])
    changes[0, 0] = mask[0, 0]
    row, column = np.divmod(np.flatnonzero(changes), width)
    edges = np.sort(column * height + row)
    return np.append(edges, height * width) if edges.size & 1 else edges


def intersect(a: Runs, b: Runs) -> int:
    """Return the number of pixels that both sequences mark."""
    return int(np.sum(_count_common(a, b)))


def intersect_by_frame(a: Runs, b: Runs) -> Integers:
    """Return the pixels that both sequences mark in every frame, `(T,)`."""
    frames = b.starts // b.stride
    return np.bincount(frames, weights=_count_common(a, b), minlength=b.n_frames).astype(np.int64)


def unite(masks: Sequence[Runs]) -> Runs:
    """Return the pixels that any of one or more sequences of the same frames and size marks."""
    starts = np.concatenate([mask.starts for mask in masks])
    order = np.argsort(starts, kind="stable")
    starts, reach = starts[order], np.maximum.accumulate(np.concatenate([mask.ends for mask in masks])[order])
    # A run begins where nothing before it reaches; runs that touch become one.
    begins = np.append(True, starts[1:] > reach[:-1])[: starts.size]
    ends = reach[np.append(begins[1:], True)[: starts.size]]
    return Runs(starts[begins], ends, masks[0].n_frames, masks[0].size)


def _count_common(a: Runs, b: Runs) -> Integers:
    """Return the pixels of every run of `b` that `a` marks too."""
    before = np.concatenate(([0], np.cumsum(a.ends - a.starts)))

    def marked_before(positions: Integers) -> Integers:
        index = np.searchsorted(a.starts, positions, side="right")
        last = np.maximum(index - 1, 0)
        beyond = np.maximum(a.ends[last] - positions, 0) if a.ends.size else np.zeros_like(positions)
        return np.where(index > 0, before[index] - beyond, 0)

    counts: Integers = marked_before(b.ends) - marked_before(b.starts)
    return counts


def tracklet_iou(a: Runs, b: Runs) -> float:
    """Return intersection over union, summed over all frames; 0 where both are empty."""
    common = intersect(a, b)
    union = a.area() + b.area() - common
    return common / union if union else 0.0


def _read_numbers(counts: Sequence[bytes]) -> tuple[Integers, Integers]:
    """Return the stored numbers of all frames in one array, and how many each frame has `(T,)`."""
    bounds = np.cumsum([len(text) for text in counts])
    digits = np.frombuffer(b"".join(counts), np.uint8) - np.uint8(_OFFSET)  # what lies below wraps to above
    if min((len(text) for text in counts), default=0) == 0:
        raise InputError("run lengths: a frame has none; encode the mask again")
    if digits.max() >= 2 * _MORE or np.any(digits[bounds - 1] & _MORE):
        raise InputError("run lengths: characters outside the COCO alphabet or a cut end; encode the mask again")
    is_last = digits < _MORE
    # The fifth bit of the last digit is the sign: shifted to the top of a byte and back, it fills the bits above.
    numbers = ((digits[is_last] << 3).view(np.int8) >> 3).astype(np.int64)
    earlier = np.flatnonzero(~is_last)  # few: most numbers are small differences
    owners = earlier - np.arange(earlier.size)
    first = np.flatnonzero(np.diff(owners, prepend=-1))
    longer, n_earlier = owners[first], np.diff(first, append=owners.size)
    if n_earlier.max(initial=0) >= _MAX_DIGITS:
        raise InputError("run lengths: a number of more than 35 bits; encode the mask again")
    place = np.arange(earlier.size) - np.repeat(first, n_earlier)
    values = (digits[earlier] & (_MORE - 1)).astype(np.int64) << (_DIGIT_BITS * place)
    numbers[longer] <<= _DIGIT_BITS * n_earlier
    if earlier.size:
        numbers[longer] += np.add.reduceat(values, first)
    per_frame = np.diff(bounds - np.searchsorted(earlier, bounds), prepend=0)
    return numbers, per_frame


def _undo_differences(numbers: Integers, per_frame: Integers) -> tuple[Integers, Integers]:
    """Return the lengths of each background and the foreground after it, `(R, 2)`, and each frame's last background.

    From the third background and the second foreground of a frame on, a number is the change to the run two before.
    """
    is_odd = (per_frame & 1) == 1
    last = np.cumsum(per_frame) - 1
    rest = np.where(is_odd, numbers[last], 0)
    is_paired = np.ones(numbers.size, np.bool_)
    is_paired[last[is_odd]] = False
    pairs = numbers[is_paired].reshape(-1, 2)
    n_runs = per_frame // 2
    first = np.cumsum(n_runs) - n_runs
    several = first[n_runs > 1]
    pairs[several + 1, 0] -= pairs[several, 0]  # the second background is no change
    filled = n_runs > 0
    if filled.any():
        pairs[first[filled][1:]] -= np.add.reduceat(pairs, first[filled], axis=0)[:-1]  # sums start anew in every frame
        for column in pairs.T:
            np.cumsum(column, out=column)
    late = is_odd & (n_runs > 1)
    rest[late] += pairs[(first + n_runs - 1)[late], 0]
    return pairs, rest


def _make_differences(lengths: Integers, per_frame: Integers) -> None:
    """Undo `_undo_differences`."""
    changes = lengths[2:] - lengths[:-2]
    late = np.flatnonzero(_index_in_segment(per_frame) > 2)
    lengths[late] = changes[late - 2]


def _to_lengths(
    starts: Integers, ends: Integers, runs_per_frame: NDArray[np.intp], stride: int
) -> tuple[Integers, Integers]:
    """Return the run lengths of all frames, background first, and their number a frame."""
    frame_start = np.arange(len(runs_per_frame)) * stride
    frame_end = frame_start + stride - 1
    edges = np.empty(2 * starts.size, np.int64)
    edges[0::2], edges[1::2] = starts, ends
    before = 2 * (np.cumsum(runs_per_frame) - runs_per_frame)
    after = before + 2 * runs_per_frame
    bounds = np.insert(edges, np.stack([before, after], 1).ravel(), np.stack([frame_start, frame_end], 1).ravel())
    per_frame = (2 * runs_per_frame + 2).astype(np.int64)
    lengths = np.diff(bounds, prepend=0)
    last = np.cumsum(per_frame) - 1
    dropped = np.concatenate([last - per_frame + 1, last[(lengths[last] == 0)]])  # frame starts; empty last background
    per_frame = per_frame - 1 - (lengths[last] == 0)
    return np.delete(lengths, dropped), per_frame


def _write_numbers(numbers: Integers) -> tuple[bytes, Integers]:
    """Return the text of all numbers, and how many characters each takes."""
    magnitude = np.where(numbers < 0, ~numbers, numbers)
    n_digits = np.ones(numbers.size, np.int64)
    limit = _MORE // 2
    while magnitude.size and limit <= magnitude.max():
        n_digits += magnitude >= limit
        limit *= _MORE
    place = np.cumsum(n_digits) - n_digits
    text = np.empty(int(n_digits.sum()), np.uint8)
    which, rest = np.arange(numbers.size), numbers
    for position in range(int(n_digits.max(initial=0))):
        has_more = n_digits[which] > position + 1
        text[place[which] + position] = (rest & (_MORE - 1)) + np.where(has_more, _MORE, 0) + _OFFSET
        # Few numbers have a second digit, fewer a third.
        which = np.flatnonzero(n_digits > position + 1)
        rest = numbers[which] >> (_DIGIT_BITS * (position + 1))
    return text.tobytes(), n_digits


def _drop_empty_runs(starts: Integers, ends: Integers) -> tuple[Integers, Integers]:
    filled = ends > starts
    return (starts, ends) if filled.all() else (starts[filled], ends[filled])


def _index_in_segment(lengths: Integers) -> Integers:
    first = np.cumsum(lengths) - lengths
    return np.arange(int(lengths.sum())) - np.repeat(first, lengths)
