"""Arrays of MATLAB files; what is compressed is measured before it is unpacked."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError

_MOST_VALUES = 1 << 28
_MOST_BYTES = 1 << 28
_PIECE = 1 << 20
_HEADER, _TAG = 128, 8
_COMPRESSED = 15


def read_array(content: bytes, name: str) -> NDArray[Any]:
    """Return the array of a name in a MATLAB file.

    Raises:
        InputError: it is too large, although its bytes may be few.
        Exception: of a damaged file, scipy's reader raises almost anything.
    """
    from scipy.io import loadmat, whosmat  # slow to import, and only this data set needs it

    # Both are looked at: few bytes may stand for gigabytes, and the shape that stands before them may be another.
    if _is_larger(_compressed_parts(content), _MOST_BYTES):
        raise InputError(f"its compressed parts hold more than {_MOST_BYTES >> 20} MiB; more is not read")
    shapes = [shape for found, shape, _ in whosmat(io.BytesIO(content)) if found == name]
    if any(prod(shape) > _MOST_VALUES for shape in shapes):
        raise InputError(f"{name} of shape {shapes[0]}, at most {_MOST_VALUES} values are read")
    return np.asarray(loadmat(io.BytesIO(content), variable_names=[name])[name])


def _compressed_parts(content: bytes) -> Iterator[bytes]:
    """Yield the zlib streams of a level 5 file; one of another level has none that would be read."""
    order = "<" if content[_HEADER - 2 : _HEADER] == b"IM" else ">"
    place = _HEADER
    while place + _TAG <= len(content):
        kind, size = struct.unpack_from(f"{order}II", content, place)
        place += _TAG
        if kind == _COMPRESSED:
            yield content[place : place + size]
        place += size


def _is_larger(streams: Iterable[bytes], most: int) -> bool:
    """Return whether zlib streams hold more bytes in all; no more than that are unpacked, a piece at a time."""
    total = 0
    for stream in streams:
        unpacking = zlib.decompressobj()
        while stream and not unpacking.eof and total <= most:
            total += len(unpacking.decompress(stream, _PIECE))
            stream = unpacking.unconsumed_tail
    return total > most
