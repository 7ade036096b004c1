"""Masks of several sequences as one part: the byte lengths of all masks (u32), then their COCO run lengths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rvos.errors import InputError
from rvos.masks.runs import Runs
from rvos.settings.problems import count

_MOST_MASKS = 1 << 22
_LARGEST_SIZE = 1 << 28
_LARGEST_MASK = 1 << 22
_LARGEST_PART = 1 << 28
_CHUNK = 1 << 20


def pack_runs(sequences: Sequence[Sequence[bytes]]) -> bytes:
    """Return all masks' run lengths in turn. Raises InputError: a mask of more than can be read again."""
    longest = max((len(counts) for runs in sequences for counts in runs), default=0)
    if longest > _LARGEST_MASK:
        raise InputError(f"a mask takes {longest} bytes, at most {_LARGEST_MASK} are stored; it is noise, no object")
    lengths = np.array([len(counts) for runs in sequences for counts in runs], "<u4")
    return lengths.tobytes() + b"".join(counts for runs in sequences for counts in runs)


def unpack_runs(raw: bytes, n_masks: int, size: tuple[int, int]) -> tuple[bytes, ...]:
    """Return the run lengths of `n_masks` masks, checked: the C decoder trusts what it is given.

    Raises:
        ValueError: lengths that do not add up, or more masks or pixels than anybody stores.
        InputError: malformed run lengths, or of another size.
    """
    if n_masks == 0:
        return ()
    if len(raw) > _LARGEST_PART:
        raise ValueError(f"masks of {count(len(raw), 'byte')}")
    if not 0 < n_masks <= _MOST_MASKS or min(size) < 1 or size[0] * size[1] > _LARGEST_SIZE:
        raise ValueError(f"{count(n_masks, 'mask')} of {size[0]} x {size[1]} pixels")
    lengths = np.frombuffer(raw, "<u4", n_masks).astype(np.int64)
    if lengths.max() > _LARGEST_MASK:
        raise ValueError(f"a mask of {lengths.max()} bytes")
    ends = np.cumsum(lengths) + 4 * n_masks
    if ends[-1] != len(raw):
        raise ValueError("the lengths of the masks do not add up")
    starts = [4 * n_masks, *ends[:-1].tolist()]
    runs = tuple(raw[start:end] for start, end in zip(starts, ends.tolist(), strict=True))
    _check_runs(runs, size)
    return runs


def _check_runs(runs: Sequence[bytes], size: tuple[int, int]) -> None:
    """Decode all masks, a few at a time: decoded numbers take many times the memory of their text."""
    chunk: list[bytes] = []
    n_bytes = 0
    for counts in runs:
        chunk.append(counts)
        n_bytes += len(counts)
        if n_bytes >= _CHUNK:
            Runs.decode(chunk, size)
            chunk, n_bytes = [], 0
    if chunk:
        Runs.decode(chunk, size)
