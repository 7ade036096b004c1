"""Tensors in files that `torch.save` wrote, read without torch, without executing pickles and one part at a time.

Both containers are read: the zip archive of torch 1.6 and later, and the older sequence of pickles. A pickle may only
name the few classes below, and each is answered by a stand-in of this module, so nothing from the file is ever called.
"""

from __future__ import annotations

import io
import math
import pickle
import struct
import zipfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.files import open_regular
from rvos.imports.pickles import RefusedPickleError, check_opcodes
from rvos.trees import ZIP_ERRORS, read_member

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LOCAL_HEADER = struct.Struct("<26xHH")
_LARGEST_INDEX = 1 << 28
_BLOCK = 1 << 20
_MOST_AXES = 8
_LARGEST_SIDE = 1 << 40
_PICKLE_ERRORS = (*ZIP_ERRORS, pickle.UnpicklingError, AttributeError, ImportError, TypeError)


@dataclass(frozen=True, slots=True)
class _NumberFormat:
    """How a storage keeps its numbers; NumPy has no bfloat16: its 16 bits are the upper half of a float32."""

    dtype: np.dtype[Any]
    is_bfloat16: bool = False

    def decode(self, content: bytes) -> NDArray[Any]:
        """Return the numbers in some bytes."""
        values = np.frombuffer(content, self.dtype)
        return (values.astype("<u4") << 16).view("<f4") if self.is_bfloat16 else values


_STORAGES: Mapping[str, _NumberFormat] = {
    "FloatStorage": _NumberFormat(np.dtype("<f4")),
    "HalfStorage": _NumberFormat(np.dtype("<f2")),
    "BFloat16Storage": _NumberFormat(np.dtype("<u2"), is_bfloat16=True),
    "DoubleStorage": _NumberFormat(np.dtype("<f8")),
    "ByteStorage": _NumberFormat(np.dtype("u1")),
    "BoolStorage": _NumberFormat(np.dtype("?")),
    "CharStorage": _NumberFormat(np.dtype("i1")),
    "ShortStorage": _NumberFormat(np.dtype("<i2")),
    "IntStorage": _NumberFormat(np.dtype("<i4")),
    "LongStorage": _NumberFormat(np.dtype("<i8")),
}


@dataclass(slots=True)
class _Storage:
    """Where the values of a storage lie.

    Args:
        start: first byte; known once the whole file has been looked at.
        crc: CRC-32 of the record of `n_bytes`, or None where the container has none, or it has been tested.
    """

    path: Path
    format: _NumberFormat
    n_values: int
    start: int = -1
    n_bytes: int = 0
    crc: int | None = None

    def check(self, stream: BinaryIO) -> None:
        """Test the checksum of the whole record, once."""
        if self.crc is None:
            return
        stream.seek(self.start)
        found, left = 0, self.n_bytes
        while left and (block := stream.read(min(left, _BLOCK))):
            found, left = zlib.crc32(block, found), left - len(block)
        if left or found != self.crc:
            raise InputError(f"{self.path}: a tensor fails its checksum, the file is damaged; copy or dump it again")
        self.crc = None


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor in a file: nothing is read before it is asked for."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

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
        """Return the values, or those of one index of the first axis.

        Args:
            stream: the opened file.

        Raises:
            InputError: the file is cut, or the storage fails its checksum.
        """
        shape = self.shape if index is None else self.shape[1:]
        first = self.offset + (0 if index is None else index * self.stride[0])
        count = math.prod(shape)
        size = self.storage.format.dtype.itemsize
        if min(first, count) < 0 or first + count > self.storage.n_values:
            raise InputError(f"{self.storage.path}: a tensor reaches beyond its storage; copy the file again")
        self.storage.check(stream)
        stream.seek(self.storage.start + first * size)
        content = stream.read(count * size)
        if len(content) != count * size:
            raise InputError(f"{self.storage.path}: the file is cut; copy it again")
        return self.storage.format.decode(content).reshape(shape)


def read_torch_file(path: Path) -> Any:
    """Return the content of a torch file, with a `StoredTensor` for each tensor.

    Raises:
        InputError: missing, damaged, or wanting to execute code.
    """
    with open_regular(path) as stream:
        try:
            is_archive = zipfile.is_zipfile(stream)
            stream.seek(0)
            return _read_archive(path, stream) if is_archive else _read_sequence(path, stream)
        except RefusedPickleError as error:
            raise InputError(
                f"{path}: refused, it names {error}; save plain dictionaries of numbers and of tensors made by "
                "`.float().cpu()`"
            ) from None
        except _PICKLE_ERRORS as error:
            raise InputError(f"{path}: not a whole torch file ({_explain(error)}); copy it again") from None


def _explain(error: Exception) -> str:
    return "it asks for more memory than there is" if isinstance(error, MemoryError) else str(error) or "cut"


def _read_archive(path: Path, stream: BinaryIO) -> Any:
    archive = zipfile.ZipFile(stream)
    records = {name.partition("/")[2]: info for name, info in archive.NameToInfo.items()}
    if "data.pkl" not in records:
        raise ValueError("no data.pkl in the archive")
    if "byteorder" in records and _read_record(path, archive, records["byteorder"]) != b"little":
        raise ValueError("numbers are stored big-endian")

    def find(format: _NumberFormat, key: str, n_values: int) -> _Storage:
        info = records[f"data/{key}"]
        if info.compress_type != zipfile.ZIP_STORED or info.file_size < n_values * format.dtype.itemsize:
            raise ValueError(f"storage {key} is compressed or cut")
        stream.seek(info.header_offset)
        name, extra = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
        start = info.header_offset + _LOCAL_HEADER.size + name + extra
        return _Storage(path, format, n_values, start, info.file_size, info.CRC)

    return _load(io.BytesIO(_read_record(path, archive, records["data.pkl"])), find)


def _read_record(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    return read_member(archive, info.filename, where=f"{path}: {info.filename}", most=_LARGEST_INDEX)


def _read_sequence(path: Path, stream: BinaryIO) -> Any:
    """Read the container of torch before 1.6: magic number, version, system, content, storage keys, storages."""
    storages: dict[str, _Storage] = {}
    end_of_file = path.stat().st_size

    def find(format: _NumberFormat, key: str, n_values: int) -> _Storage:
        return storages.setdefault(key, _Storage(path, format, n_values))

    if _load(stream, find) != _LEGACY_MAGIC:
        raise ValueError("it does not begin as torch files do")
    for _ in ("version", "system"):
        _load(stream, find)
    content = _load(stream, find)
    for key in _load(stream, find):
        (n_values,) = struct.unpack("<q", stream.read(8))
        storage = storages[key]
        if n_values != storage.n_values:
            raise ValueError(f"storage {key} has {n_values} values, expected {storage.n_values}")
        storage.start = stream.tell()
        end = storage.start + n_values * storage.format.dtype.itemsize
        if not storage.start <= end <= end_of_file:
            raise ValueError(f"storage {key} is cut")
        stream.seek(end)
    return content


def _load(stream: BinaryIO, find: Callable[[_NumberFormat, str, int], _Storage]) -> Any:
    """Return the content of the next pickle."""
    start = stream.tell()
    check_opcodes(stream)
    stream.seek(start)
    return _SafeUnpickler(stream, find).load()


class _SafeUnpickler(pickle.Unpickler):
    """Rebuilds containers, numbers and references to tensors; everything else is refused."""

    def __init__(self, stream: Any, find: Callable[[_NumberFormat, str, int], _Storage]) -> None:
        super().__init__(stream)
        self._find = find

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a class that torch files are known to name."""
        if module == "torch" and name in _STORAGES:
            return _STORAGES[name]
        stand_in = _STAND_INS.get((module, name))
        if stand_in is None:
            raise RefusedPickleError(f"{module}.{name}")
        return stand_in

    def persistent_load(self, identity: Any) -> _Storage:
        """Return the reference to a storage."""
        kind, format, key, _, n_values = identity[:5]
        if kind != "storage" or not isinstance(format, _NumberFormat) or not _is_count(n_values):
            raise ValueError("an unknown kind of reference")
        return self._find(format, str(key), n_values)


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> StoredTensor:
    if not isinstance(storage, _Storage) or len(shape) != len(stride) or len(shape) > _MOST_AXES:
        raise ValueError("a tensor without storage")
    if not all(_is_count(number) for number in (offset, *shape, *stride)):
        raise ValueError("a tensor of an impossible shape")
    return StoredTensor(storage, offset, tuple(shape), tuple(stride))


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST_SIDE


class _NumberType:
    """Stand-in for `numpy.dtype`: remembers its name, ignores its state."""

    def __init__(self, name: str, *_: Any) -> None:
        self.name = name

    def __setstate__(self, state: Any) -> None:
        return


def _rebuild_scalar(kind: _NumberType, content: bytes | str) -> float:
    dtype = np.dtype(str(kind.name))
    if dtype.kind not in "fiu" or dtype.shape:
        raise ValueError("a NumPy scalar that is no number")
    raw = content.encode("latin1") if isinstance(content, str) else content
    return float(np.frombuffer(raw, dtype, 1)[0])


def _encode_text(text: str, *_: Any) -> bytes:
    return text.encode("latin1")


_STAND_INS: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): dict,
    ("torch._utils", "_rebuild_tensor"): _rebuild_tensor,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("numpy", "dtype"): _NumberType,
    ("numpy.core.multiarray", "scalar"): _rebuild_scalar,
    ("numpy._core.multiarray", "scalar"): _rebuild_scalar,
    ("_codecs", "encode"): _encode_text,
}
