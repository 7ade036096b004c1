"""Fields of a stored description, read with the types that they must have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError


def read_texts(value: Any) -> tuple[str, ...]:
    """Return a list of texts. Raises ValueError: something else."""
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise ValueError(f"{str(value)[:40]} is no list of texts")
    return tuple(value)


def read_integer(value: Any, *, least: int = 0) -> int:
    """Return an integer of at least `least`. Raises ValueError: something else."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{str(value)[:40]} is no integer from {least} on")
    return value


def read_number(value: Any) -> float:
    """Return a finite number. Raises ValueError: something else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{str(value)[:40]} is no number")
    return float(value)


def read_text(value: Any) -> str:
    """Return a text. Raises ValueError: something else."""
    if not isinstance(value, str):
        raise ValueError(f"{str(value)[:40]} is no text")
    return value


def read_frames(description: Mapping[str, Any]) -> tuple[tuple[str, ...], tuple[int, int]]:
    """Return the frames' names and size (H, W), 0 x 0 of nothing. Raises ValueError, KeyError: something else."""
    height, width = description["size"]
    return read_texts(description["frames"]), (read_integer(height), read_integer(width))


def check_video(found: str, video: str, *, what: str) -> None:
    """Check that a value belongs to the video that it is stored for. Raises InputError: it does not."""
    if found != video:
        raise InputError(f"{found}/{what}: belongs to another video than {video}; write each video on its own")


def check_distinct(ids: Sequence[str], *, video: str, what: str) -> None:
    """Check that ids differ. Raises InputError: one is given twice."""
    seen: set[str] = set()
    for one in ids:
        if one in seen:
            raise InputError(f"{video}/{one}: {what} given twice; give each once")
        seen.add(one)


def to_bytes(arrays: Sequence[NDArray[Any]], dtype: str) -> bytes:
    """Return arrays one after the other, in the stored type."""
    return b"".join(np.ascontiguousarray(array).astype(dtype).tobytes() for array in arrays)
