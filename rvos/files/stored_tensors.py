"""Tensors that lie in a file: their type, place and shape are known, nothing is read before it is asked for."""

from __future__ import annotations

import math
import mmap
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.files.pickles import RefusedError

_BLOCK = 1 << 20
NUMBER_SIZES: Mapping[str, int] = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
}
"""Bytes of a value of each type."""


@dataclass(slots=True)
class Storage:
    """Where the values of one or several tensors lie in the file.

    Args:
        source: the file, for messages.
        kind: type of the values, a key of `NUMBER_SIZES`.
        start: first byte; known once the whole file has been looked at.
        record_bytes: length of the record that holds them.
        checksum: CRC-32 of the record; None where the file has none, or it has been tested.
    """

    source: str
    kind: str
    n_values: int
    start: int = -1
    record_bytes: int = 0
    checksum: int | None = None

    def __setstate__(self, state: object) -> None:
        """Refuse: a pickle may not move it."""
        raise RefusedError("a storage that is changed")

    @property
    def n_bytes(self) -> int:
        """Length of the values, bytes."""
        return self.n_values * NUMBER_SIZES[self.kind]

    def check(self, stream: BinaryIO | mmap.mmap) -> None:
        """Test the checksum of the whole record, once. Raises InputError: the file is damaged."""
        if self.checksum is None:
            return
        stream.seek(self.start)
        found, left = 0, self.record_bytes
        while left and (block := stream.read(min(left, _BLOCK))):
            found, left = zlib.crc32(block, found), left - len(block)
        if left or found != self.checksum:
            raise InputError(f"{self.source}: a tensor fails its checksum, the file is damaged; copy or dump it again")
        self.checksum = None

    def decode(self, content: bytes) -> NDArray[Any]:
        """Return the numbers in some bytes; NumPy has no bfloat16: its 16 bits are the upper half of a float32."""
        if self.kind == "bfloat16":
            return (np.frombuffer(content, "<u2").astype("<u4") << 16).view("<f4")
        return np.frombuffer(content, np.dtype(self.kind).newbyteorder("<"))


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor in a file: nothing of it is read yet. Offset and strides count values."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def __setstate__(self, state: object) -> None:
        """Refuse: a pickle may not reshape it."""
        raise RefusedError("a tensor that is changed")

    @property
    def n_values(self) -> int:
        """Number of values."""
        return math.prod(self.shape)

    @property
    def is_contiguous(self) -> bool:
        """Whether the values lie in the order of the axes."""
        expected = 1
        for side, step in zip(reversed(self.shape), reversed(self.stride), strict=True):
            if side != 1 and step != expected:
                return False
            expected *= side
        return True

    def read(self, stream: BinaryIO, index: int | None = None) -> NDArray[Any]:
        """Return a contiguous tensor, or one index of its first axis. Raises InputError: cut, or damaged."""
        shape = self.shape if index is None else self.shape[1:]
        first = self.offset + (0 if index is None else index * self.stride[0])
        size = NUMBER_SIZES[self.storage.kind]
        self.storage.check(stream)
        stream.seek(self.storage.start + first * size)
        count = math.prod(shape)
        content = stream.read(count * size)
        if len(content) != count * size:
            raise InputError(f"{self.storage.source}: the file is cut; copy it again")
        return self.storage.decode(content).reshape(shape)
