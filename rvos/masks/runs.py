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
from rvos.masks.coco_text import Positions, accumulate, position_type, read_lengths, write_lengths

Integers = NDArray[np.int64]
_BOTH = 3


@dataclass(frozen=True, slots=True, eq=False)
class Runs:
    """Foreground runs of T masks.

    Args:
        edges: `(2 R,)` int32 or int64, ascending: start, end, start, end, ... of half-open runs; pixel `p` of frame `t`
            lies at `t * stride + p`.
        n_frames: T.
        size: (H, W).
    """

    edges: Positions
    n_frames: int
    size: tuple[int, int]

    @classmethod
    def decode(cls, counts: Sequence[bytes], size: tuple[int, int]) -> Runs:
        """Return the runs of T compressed COCO run lengths. Raises InputError: malformed, or not `H * W` pixels."""
        return cls.decode_all([counts], size)[0]

    @classmethod
    def decode_all(cls, counts: Sequence[Sequence[bytes]], size: tuple[int, int]) -> list[Runs]:
        """Return the runs of several sequences of one size in one pass; raises as `decode` does."""
        n_frames = [len(own) for own in counts]
        if not sum(n_frames):
            return [cls.empty(0, size) for _ in counts]
        pixels = size[0] * size[1]
        kind = position_type(max(n_frames) * (pixels + 1))
        lengths, n_lengths, rest = read_lengths([text for own in counts for text in own], pixels, kind)
        frames = np.concatenate([np.arange(n, dtype=kind) for n in n_frames])
        edges = _lay_out(lengths, n_lengths, rest, frames=frames, pixels=pixels)
        reached = np.append(0, np.cumsum(n_lengths))[np.append(0, np.cumsum(n_frames))].tolist()
        return [
            cls(edges[first:after], n, size)
            for first, after, n in zip(reached[:-1], reached[1:], n_frames, strict=True)
        ]

    @classmethod
    def from_masks(cls, masks: NDArray[np.bool_]) -> Runs:
        """Return the runs of masks `(T, H, W)`."""
        n_frames, height, width = masks.shape
        stride = height * width + 1
        edges = [_find_edges(mask) + frame * stride for frame, mask in enumerate(masks)]
        line = np.concatenate(edges) if edges else np.zeros(0, np.int64)
        return cls(line.astype(position_type(n_frames * stride)), n_frames, (height, width))

    @classmethod
    def empty(cls, n_frames: int, size: tuple[int, int]) -> Runs:
        """Return the runs of masks that mark nothing."""
        return cls(np.zeros(0, np.int32), n_frames, size)

    @property
    def starts(self) -> Positions:
        """Where each run begins, `(R,)`."""
        return self.edges[0::2]

    @property
    def ends(self) -> Positions:
        """The place after the last of each run, `(R,)`."""
        return self.edges[1::2]

    @property
    def stride(self) -> int:
        """Distance between the first pixels of neighbouring frames."""
        return self.size[0] * self.size[1] + 1

    def encode(self) -> tuple[bytes, ...]:
        """Return the T compressed COCO run lengths, equal to those of the COCO library."""
        filled = self.ends > self.starts
        edges = self.edges if filled.all() else self.edges[np.repeat(filled, 2)]
        return write_lengths(edges, self.n_frames, self.stride)

    def areas(self) -> Integers:
        """Return the foreground pixels of every frame, `(T,)`."""
        frames = self.starts // self.stride
        return np.bincount(frames, weights=self.ends - self.starts, minlength=self.n_frames).astype(np.int64)

    def area(self) -> int:
        """Return the foreground pixels of all frames."""
        return int(np.sum(self.ends - self.starts))


def _lay_out(lengths: Positions, n_lengths: Integers, rest: Positions, *, frames: Positions, pixels: int) -> Positions:
    """Return the places on the line where runs begin and end. Raises InputError: a mask of more or fewer pixels.

    Args:
        lengths, n_lengths, rest: as `read_lengths` gives them; `lengths` is overwritten.
        frames: which frame of its sequence each mask is, `(T,)`.
    """
    begin = frames * (pixels + 1)
    end = begin + pixels - rest
    filled = np.flatnonzero(n_lengths)
    first = (np.cumsum(n_lengths) - n_lengths)[filled]
    # From the end of a mask's runs to the next mask's first, as if every mask were full; that is checked below.
    lengths[first] += begin[filled]
    lengths[first[1:]] -= end[filled[:-1]]
    edges = accumulate(np.add, lengths).copy()
    reached = begin.copy()
    reached[filled] = edges[first + n_lengths[filled] - 1]
    if np.any(reached != end):
        mask = int(np.flatnonzero(reached != end)[0])
        raise InputError(
            f"run lengths of frame {int(frames[mask])}: {int(reached[mask] - begin[mask] + rest[mask])} pixels, "
            f"expected {pixels}; encode the mask again"
        )
    # Sums that left the range of the integers and came back passed through places beyond the line.
    if edges.size and (edges.min() < 0 or edges.max() > end.max()):
        raise InputError(f"run lengths: a frame of far more than {pixels} pixels; encode the mask again")
    return edges


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
    return int(_find_common(a, b)[1].sum(dtype=np.int64))


def intersect_by_frame(a: Runs, b: Runs) -> Integers:
    """Return the pixels that both sequences mark in every frame, `(T,)`."""
    begins, lengths = _find_common(a, b)
    return np.bincount(begins // b.stride, weights=lengths, minlength=b.n_frames).astype(np.int64)


def unite(masks: Sequence[Runs]) -> Runs:
    """Return the pixels that any of one or more sequences of the same frames and size marks."""
    starts = np.concatenate([mask.starts for mask in masks])
    order = np.argsort(starts, kind="stable")
    starts, reach = starts[order], np.maximum.accumulate(np.concatenate([mask.ends for mask in masks])[order])
    # A run begins where nothing before it reaches; runs that touch become one.
    begins = np.append(True, starts[1:] > reach[:-1])[: starts.size]
    ends = reach[np.append(begins[1:], True)[: starts.size]]
    return Runs(np.stack([starts[begins], ends], 1).ravel(), masks[0].n_frames, masks[0].size)


def _find_common(a: Runs, b: Runs) -> tuple[Positions, Positions]:
    """Return where the pieces begin that both sequences mark, and their lengths."""
    # Positions leave a bit free (`position_type`): it says whose boundary it is, and switches that one on or off.
    codes = np.concatenate((a.edges << 1, b.edges << 1 | 1))
    codes.sort(kind="stable")  # merges two ascending pieces
    in_both = accumulate(np.bitwise_xor, (codes & 1) + 1)[:-1] == _BOTH
    positions = codes >> 1
    lengths = positions[1:] - positions[:-1]
    return positions[:-1][in_both], lengths[in_both]


def tracklet_iou(a: Runs, b: Runs) -> float:
    """Return intersection over union, summed over all frames; 0 where both are empty."""
    common = intersect(a, b)
    union = a.area() + b.area() - common
    return common / union if union else 0.0
