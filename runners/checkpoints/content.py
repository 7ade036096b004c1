"""What a checkpoint file holds, whatever its container: nothing is executed, and nothing of it outgrows the file."""

from __future__ import annotations

import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from deaot_toolkit.errors import CheckpointError as ToolkitCheckpointError
from deaot_toolkit.files.other_files import START_LENGTH, refuse_other_files
from safetensors import SafetensorError, safe_open
from torch import Tensor

from rvos.errors import CheckpointError, InputError, explain
from rvos.files.atomic import open_regular
from rvos.files.pickles import NUMPY_STAND_INS, PLAIN_STAND_INS, RefusedError, StoredArray, read_pickle
from rvos.files.stored_tensors import NUMBER_SIZES, StoredTensor
from rvos.files.tensor_files import SEQUENCE_START, TENSOR_FILE_ERRORS, ZIP_START, read_tensor_file

_TYPES = {name: getattr(torch, name) for name in NUMBER_SIZES}
_SAFETENSORS_TYPES = {
    "F64": torch.float64,
    "F32": torch.float32,
    "F16": torch.float16,
    "BF16": torch.bfloat16,
    "I64": torch.int64,
    "I32": torch.int32,
    "I16": torch.int16,
    "I8": torch.int8,
    "U8": torch.uint8,
    "BOOL": torch.bool,
}
# Tied parameters are stored once and named several times; more than this is made to fill the memory.
_MOST_SHARED = 4
_SLACK = 1 << 20


@dataclass(frozen=True, slots=True)
class Content:
    """What was found in a file: `root`, with stored tensors for tensors, and a safetensors header's text entries."""

    root: Any
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_content(path: Path, *, outline: bool = False) -> Content:
    """Return the content of a torch, safetensors or pickle file; what it is shows in its first bytes.

    Args:
        outline: tensors of safetensors without their values, on the device `meta`.

    Raises:
        CheckpointError: missing, no regular file, damaged, something else, or wanting to execute code.
    """
    with open_regular(path, what="checkpoint", error=CheckpointError) as stream:
        start = stream.read(START_LENGTH)
        size = os.fstat(stream.fileno()).st_size
        try:
            refuse_other_files(path, start)
            if start.startswith((ZIP_START, SEQUENCE_START)):
                return Content(read_tensor_file(stream, str(path)))
            if start[8:9] == b"{" and int.from_bytes(start[:8], "little") <= size - 8:
                with safe_open(path, framework="pt") as opened:
                    names = opened.keys()
                    if outline:
                        state = {name: _sketch(opened.get_slice(name)) for name in names}
                    else:
                        state = {name: opened.get_tensor(name) for name in names}
                    return Content(state, opened.metadata() or {})
            if path.suffix != ".safetensors" and (start.startswith(b"\x80") or path.suffix == ".pkl"):
                stream.seek(0)
                return Content(read_pickle(stream, {**PLAIN_STAND_INS, **NUMPY_STAND_INS}))
        except ToolkitCheckpointError as error:
            raise CheckpointError(str(error)) from None
        except RefusedError as error:
            raise CheckpointError(
                f"{path}: refused, it holds {error}, expected plain tensors, containers and numbers; "
                "save its state dict with torch.save or safetensors"
            ) from None
        except (*TENSOR_FILE_ERRORS, SafetensorError) as error:
            reason = explain(error)
            raise CheckpointError(f"{path}: a damaged checkpoint ({reason}); copy it again") from None
    raise CheckpointError(f"{path}: neither a torch nor a safetensors file, or cut at its start; copy it again")


def _sketch(part: Any) -> Tensor:
    """Return the tensor of a part of a safetensors file without its values; of an odd type one that is refused."""
    kind = _SAFETENSORS_TYPES.get(part.get_dtype(), torch.complex64)
    return torch.empty(part.get_shape(), dtype=kind, device="meta")


def is_tensor(value: object) -> bool:
    """Tell whether an entry of a file is a tensor or an array."""
    return isinstance(value, Tensor | StoredTensor | StoredArray)


def to_tensors(path: Path, state: dict[str, Any], *, outline: bool = False) -> dict[str, Tensor]:
    """Return the entries as tensors on the CPU; those of a torch file are mapped, not read.

    Args:
        path: the file, for its values and for messages.
        state: emptied on the way, so that arrays are not held twice.
        outline: without values, on the device `meta`; nothing of them is read.

    Raises:
        CheckpointError: other numbers than networks have, a wrong checksum, or the same values many times over.
    """
    needed = 0
    for part in state.values():
        if isinstance(part, StoredTensor):
            needed += int(np.prod(part.shape, dtype=object)) * NUMBER_SIZES[part.storage.kind]
        elif isinstance(part, StoredArray) and part.values is not None:
            needed += part.values.nbytes
    if needed > _MOST_SHARED * path.stat().st_size + _SLACK:
        raise CheckpointError(
            f"{path}: names the same values again and again ({needed} bytes in all); save each tensor once"
        )
    is_mapped = not outline and any(isinstance(value, StoredTensor) for value in state.values())
    mapped = _map_file(path) if is_mapped else None
    tensors = {}
    for name in list(state):
        value = state.pop(name)
        if mapped is not None and isinstance(value, StoredTensor):
            value = _from_file(mapped, value)
        elif isinstance(value, StoredTensor):
            value = torch.empty(value.shape, dtype=_TYPES[value.storage.kind], device="meta")
        elif isinstance(value, StoredArray):
            values = value.values
            if values is None or values.dtype.newbyteorder("=").name not in NUMBER_SIZES:
                kind = None if values is None else values.dtype.name
                raise CheckpointError(f"{path}: {name} is an array of type {kind}; save it as float32")
            value = torch.from_numpy(np.array(values, values.dtype.newbyteorder("=")))
        if value.dtype not in _TYPES.values():
            raise CheckpointError(f"{path}: {name} is of type {value.dtype}; save it as float32")
        tensors[name] = value.to("meta") if outline else value
    return tensors


def _map_file(path: Path) -> mmap.mmap:
    """Return the bytes of a file, brought in as they are used; changes stay in memory."""
    with path.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_COPY)


def _from_file(mapped: mmap.mmap, tensor: StoredTensor) -> Tensor:
    storage = tensor.storage
    if not storage.n_values:
        return torch.empty(tensor.shape, dtype=_TYPES[storage.kind])
    try:
        storage.check(mapped)
    except InputError as error:
        raise CheckpointError(str(error)) from None
    values = torch.frombuffer(mapped, dtype=_TYPES[storage.kind], count=storage.n_values, offset=storage.start)
    return values.as_strided(tensor.shape, tensor.stride, tensor.offset)
