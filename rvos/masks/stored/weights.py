"""Small named arrays, such as weights that were fitted."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.masks.stored.codec import Packed, ReadPart, read_array
from rvos.masks.stored.fields import read_integer, read_text

_TYPES = {"float32": "<f4", "float64": "<f8", "int64": "<i8"}
_MOST_AXES = 8


@dataclass(frozen=True, slots=True)
class WeightCodec:
    """Arrays by name, float32, float64 or int64: one part each."""

    name: ClassVar[str] = "weights"

    def pack(self, video: str, value: Mapping[str, NDArray[Any]]) -> Packed:
        """Return what is stored of arrays."""
        for name, array in value.items():
            if array.dtype.name not in _TYPES or array.ndim > _MOST_AXES:
                raise InputError(
                    f"{video}/{name}: {array.dtype} with {array.ndim} axes; give {', '.join(_TYPES)} with at most "
                    f"{_MOST_AXES}"
                )
        ordered = sorted(value)
        description = {"arrays": [{"name": n, "dtype": value[n].dtype.name, "shape": value[n].shape} for n in ordered]}
        parts = {f"array/{i}": value[n].astype(_TYPES[value[n].dtype.name]).tobytes() for i, n in enumerate(ordered)}
        return Packed(description, parts)

    def unpack(self, video: str, description: Mapping[str, Any], read: ReadPart) -> dict[str, NDArray[Any]]:
        """Return the arrays."""
        arrays: dict[str, NDArray[Any]] = {}
        for index, entry in enumerate(description["arrays"]):
            shape = tuple(read_integer(length) for length in entry["shape"])
            if len(shape) > _MOST_AXES:
                raise ValueError(f"{len(shape)} axes")
            array = read_array(read, f"array/{index}", _TYPES[entry["dtype"]], shape)
            arrays[read_text(entry["name"])] = np.array(array)
        return arrays


WEIGHTS = WeightCodec()
