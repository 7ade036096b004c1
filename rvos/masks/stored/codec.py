"""What a sort of artefact says of itself: how its values become named parts, and parts become values again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

T = TypeVar("T")
ReadPart = Callable[[str, int | None], bytes]


@dataclass(frozen=True, slots=True)
class Packed:
    """A stored value: a description for JSON, by which parts are checked and read, and parts by name, in order."""

    description: Mapping[str, Any]
    parts: Mapping[str, bytes]


class Codec(Protocol[T]):
    """One sort of artefact."""

    name: ClassVar[str]
    """In words, such as "mask sequences"; a file says which it holds."""

    def pack(self, video: str, value: T) -> Packed:
        """Return what is stored, equal for equal values. Raises InputError: another video's, or inconsistent."""

    def unpack(self, video: str, description: Mapping[str, Any], read: ReadPart) -> T:
        """Return the value that was packed.

        Args:
            read: returns a part by name; with a number, the part must have so many bytes.

        Raises:
            InputError, ValueError, KeyError, TypeError, AttributeError, OverflowError: it was not packed like this.
        """


def read_array(read: ReadPart, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the array of `shape` in a part, in native byte order. Raises ValueError: a part of another length."""
    count = 1
    for length in shape:
        if length < 0:
            raise ValueError(f"part {name} of shape {shape}")
        count *= length
    kind = np.dtype(dtype)
    raw = read(name, count * kind.itemsize)
    return np.frombuffer(raw, kind).reshape(shape).astype(kind.newbyteorder("="), copy=False)
