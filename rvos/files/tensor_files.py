"""Files that `torch.save` wrote, read without torch and without executing anything: where each tensor lies.

Both containers are read: the zip archive of torch 1.6 and later, and the older sequence of pickles. Nothing is taken
into memory but the pickle itself; what it claims is held against the size of the file first.
"""

from __future__ import annotations

import io
import math
import os
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

from rvos.errors import InputError, explain
from rvos.files.atomic import open_regular
from rvos.files.pickles import (
    NUMPY_STAND_INS,
    PICKLE_ERRORS,
    PLAIN_STAND_INS,
    RefusedError,
    StandIn,
    read_pickle,
)
from rvos.files.stored_tensors import NUMBER_SIZES, Storage, StoredTensor

TENSOR_FILE_ERRORS = (*PICKLE_ERRORS, zipfile.BadZipFile, RuntimeError)
"""What a damaged file may raise."""
ZIP_START = b"PK\x03\x04"
SEQUENCE_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The first bytes of the two containers; the second are the pickled magic number."""
_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LOCAL_HEADER = struct.Struct("<4s22xHH")
_MOST_AXES = 16
_STORAGES = {
    "DoubleStorage": "float64",
    "FloatStorage": "float32",
    "HalfStorage": "float16",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "int64",
    "IntStorage": "int32",
    "ShortStorage": "int16",
    "CharStorage": "int8",
    "ByteStorage": "uint8",
    "BoolStorage": "bool",
}


def read_torch_file(path: Path) -> Any:
    """Return what a torch file holds, tensors as `StoredTensor`; InputError where damaged or wanting to run code."""
    with open_regular(path) as stream:
        try:
            return read_tensor_file(stream, str(path))
        except RefusedError as error:
            raise InputError(
                f"{path}: refused, it names {error}; save plain dictionaries of numbers and of tensors made by "
                "`.float().cpu()`"
            ) from None
        except TENSOR_FILE_ERRORS as error:
            reason = explain(error)
            raise InputError(f"{path}: not a whole torch file ({reason}); copy it again") from None


def read_tensor_file(stream: BinaryIO, source: str) -> Any:
    """Return the content of an opened torch file, with a `StoredTensor` for each tensor.

    Args:
        source: name of the file in later messages.

    Raises:
        RefusedError: it wants to execute code, or holds other than plain tensors.
        Exception: one of `TENSOR_FILE_ERRORS` where it is damaged.
    """
    size = os.fstat(stream.fileno()).st_size
    stream.seek(0)
    is_archive = stream.read(len(ZIP_START)) == ZIP_START
    stream.seek(0)
    return (_read_archive if is_archive else _read_sequence)(stream, size, source)


def _read_archive(stream: BinaryIO, size: int, source: str) -> Any:
    with zipfile.ZipFile(stream) as archive:
        records = {name.partition("/")[2]: info for name, info in archive.NameToInfo.items()}
        if "constants.pkl" in records:
            raise RefusedError("a TorchScript program")
        if "byteorder" in records and _read_record(stream, records["byteorder"], size) != b"little":
            raise ValueError("its numbers are stored big-endian")
        content = _read_record(stream, records["data.pkl"], size)

    def find(identity: Any) -> Storage:
        kind, key, n_values = _check_reference(identity)
        info = records[f"data/{key}"]
        # Files that were written without checksums have 0 there.
        storage = Storage(source, kind, n_values, _find_start(stream, info, size), info.file_size, info.CRC or None)
        if storage.n_bytes > info.file_size:
            raise ValueError(f"storage {key} has {info.file_size} bytes, expected {storage.n_bytes}")
        return storage

    return read_pickle(io.BytesIO(content), _TORCH_STAND_INS, find)


def _read_record(stream: BinaryIO, info: zipfile.ZipInfo, size: int) -> bytes:
    stream.seek(_find_start(stream, info, size))
    content = stream.read(info.file_size)
    if info.CRC and zlib.crc32(content) != info.CRC:
        raise ValueError(f"the checksum of {info.filename!r:.60} is wrong")
    return content


def _find_start(stream: BinaryIO, info: zipfile.ZipInfo, size: int) -> int:
    """Return the first byte of a record, which is as long in the file as it says to be."""
    if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
        raise ValueError(f"the record {info.filename!r:.60} is packed, torch stores it as it is")
    stream.seek(info.header_offset)
    signature, name, extra = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
    start: int = info.header_offset + _LOCAL_HEADER.size + name + extra
    if signature != ZIP_START or start + info.file_size > size:
        raise ValueError(f"the record {info.filename!r:.60} is cut")
    return start


def _read_sequence(stream: BinaryIO, size: int, source: str) -> Any:
    """Read the container of torch before 1.6: magic number, version, system, content, storage keys, storages."""
    storages: dict[str, Storage] = {}

    def find(identity: Any) -> Storage:
        kind, key, n_values = _check_reference(identity)
        storage = storages.setdefault(key, Storage(source, kind, n_values))
        if (storage.kind, storage.n_values) != (kind, n_values) or storage.n_bytes > size:
            raise ValueError(f"storage {key!r:.40} claims length {n_values}, more than the file")
        return storage

    if read_pickle(stream, {}) != _LEGACY_MAGIC:
        raise ValueError("it does not begin as torch files do")
    for _ in ("version", "system"):
        read_pickle(stream, PLAIN_STAND_INS)
    content = read_pickle(stream, _TORCH_STAND_INS, find)
    for key in read_pickle(stream, {}):
        (n_values,) = struct.unpack("<q", stream.read(8))
        storage = storages[key]
        storage.start = stream.tell()
        if n_values != storage.n_values or storage.start + storage.n_bytes > size:
            raise ValueError(f"storage {key!r:.40} is cut")
        stream.seek(storage.start + storage.n_bytes)
    if any(storage.start < 0 for storage in storages.values()):
        raise ValueError("storages are missing")
    return content


def _check_reference(identity: Any) -> tuple[str, str, int]:
    """Return type, key and number of values of a reference to a storage."""
    word, kind, key, _, n_values, *view = identity
    if word != "storage" or not isinstance(kind, _StorageKind) or not isinstance(key, str | int):
        raise ValueError("an unknown kind of reference")
    if type(n_values) is not int or n_values < 0 or any(part is not None for part in view):
        raise ValueError(f"a storage of length {n_values!r:.40}")
    return kind.name, str(key), n_values


class _StorageKind:
    """Stand-in for a class of storages."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __setstate__(self, state: object) -> None:
        raise RefusedError("a type that is changed")


def _rebuild_tensor(storage: object, offset: object, shape: object, stride: object, *_: object) -> StoredTensor:
    if not isinstance(storage, Storage):
        raise RefusedError("a tensor without values")
    sides, steps = _check_axes(shape), _check_axes(stride)
    if type(offset) is not int or offset < 0 or len(sides) != len(steps):
        raise ValueError("a tensor without place")
    count = math.prod(sides)
    last = offset + sum((side - 1) * step for side, step in zip(sides, steps, strict=True))
    if any(step == 0 and side > 1 for side, step in zip(sides, steps, strict=True)) or count > storage.n_values:
        raise RefusedError(f"an expanded tensor of shape {sides}, whose values are not all stored")
    if count and last >= storage.n_values:
        raise ValueError(f"a tensor of shape {sides} reaches beyond its storage")
    return StoredTensor(storage, offset, sides, steps)


def _check_axes(axes: object) -> tuple[int, ...]:
    if not isinstance(axes, tuple) or len(axes) > _MOST_AXES:
        raise ValueError("a tensor without shape")
    if not all(type(side) is int and 0 <= side < 2**48 for side in axes):
        raise ValueError(f"a tensor of shape {axes!r:.60}")
    return axes


def _torch_names() -> Mapping[tuple[str, str], Callable[..., Any] | object]:
    """Return what answers for the classes of torch; types and devices among the arguments become text."""
    plain = [*NUMBER_SIZES, "float", "half", "double", "long", "int", "short"]
    return {
        **{("torch", name): _StorageKind(kind) for name, kind in _STORAGES.items()},
        **{("torch", name): f"torch.{name}" for name in plain},
        ("torch", "Size"): StandIn(_check_axes),
        ("torch", "device"): StandIn(lambda *parts: ":".join(map(str, parts[:2]))),
        ("torch._utils", "_rebuild_tensor"): StandIn(_rebuild_tensor),
        ("torch._utils", "_rebuild_tensor_v2"): StandIn(_rebuild_tensor),
        ("torch._utils", "_rebuild_parameter"): StandIn(lambda value, *_: value),
    }


_TORCH_STAND_INS: Mapping[tuple[str, str], Any] = {**PLAIN_STAND_INS, **NUMPY_STAND_INS, **_torch_names()}
