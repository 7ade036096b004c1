"""Tensors in files that `torch.save` wrote, read without torch, without executing pickles and one part at a time.

Both containers are read: the zip archive of torch 1.6 and later, and the older sequence of pickles. A pickle may only
name the few classes below, and each is answered by a stand-in of this module, so nothing from the file is ever called.
"""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LOCAL_HEADER = struct.Struct("<26xHH")
_STORAGES = {
    "FloatStorage": "<f4",
    "HalfStorage": "<f2",
    "DoubleStorage": "<f8",
    "ByteStorage": "u1",
    "BoolStorage": "?",
    "CharStorage": "i1",
    "ShortStorage": "<i2",
    "IntStorage": "<i4",
    "LongStorage": "<i8",
}
_PICKLE_ERRORS = (
    pickle.UnpicklingError,
    EOFError,
    AttributeError,
    ImportError,
    IndexError,
    KeyError,
    TypeError,
    ValueError,
    OverflowError,
    MemoryError,
    RecursionError,
    struct.error,
    zipfile.BadZipFile,
    NotImplementedError,
    OSError,
)


class _RefusedError(pickle.UnpicklingError):
    """The pickle names something that is no tensor, container or number."""


@dataclass(slots=True)
class _Storage:
    """Where the values of a storage lie; `start` is known once the whole file has been looked at."""

    path: Path
    dtype: np.dtype[Any]
    n_values: int
    start: int = -1


@dataclass(frozen=True, slots=True)
class StoredTensor:
    """A tensor in a file: nothing is read before it is asked for."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

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
            InputError: the file is cut.
        """
        shape = self.shape if index is None else self.shape[1:]
        first = self.offset + (0 if index is None else index * self.stride[0])
        count = int(np.prod(shape, dtype=np.int64))
        size = self.storage.dtype.itemsize
        if min(first, count) < 0 or first + count > self.storage.n_values:
            raise InputError(f"{self.storage.path}: a tensor reaches beyond its storage; copy the file again")
        stream.seek(self.storage.start + first * size)
        content = stream.read(count * size)
        if len(content) != count * size:
            raise InputError(f"{self.storage.path}: the file is cut; copy it again")
        return np.frombuffer(content, self.storage.dtype).reshape(shape)


def read_torch_file(path: Path) -> Any:
    """Return the content of a torch file, with a `StoredTensor` for each tensor.

    Raises:
        InputError: missing, damaged, or wanting to execute code.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; check the path")
    try:
        return _read_archive(path) if zipfile.is_zipfile(path) else _read_sequence(path)
    except _RefusedError as error:
        raise InputError(
            f"{path}: refused, it names {error}, which only executing code could rebuild; "
            "save plain dictionaries of tensors and numbers"
        ) from None
    except _PICKLE_ERRORS as error:
        raise InputError(
            f"{path}: not a whole torch file ({str(error) or type(error).__name__}); copy it again"
        ) from None


def _read_archive(path: Path) -> Any:
    with zipfile.ZipFile(path) as archive, path.open("rb") as stream:
        records = {name.partition("/")[2]: info for name, info in archive.NameToInfo.items()}
        if "data.pkl" not in records:
            raise ValueError("no data.pkl in the archive")
        if "byteorder" in records and archive.read(records["byteorder"]) != b"little":
            raise ValueError("numbers are stored big-endian")

        def find(dtype: np.dtype[Any], key: str, n_values: int) -> _Storage:
            info = records[f"data/{key}"]
            if info.compress_type != zipfile.ZIP_STORED or info.file_size < n_values * dtype.itemsize:
                raise ValueError(f"storage {key} is compressed or cut")
            stream.seek(info.header_offset)
            name, extra = _LOCAL_HEADER.unpack(stream.read(_LOCAL_HEADER.size))
            return _Storage(path, dtype, n_values, info.header_offset + _LOCAL_HEADER.size + name + extra)

        return _SafeUnpickler(io.BytesIO(archive.read(records["data.pkl"])), find).load()


def _read_sequence(path: Path) -> Any:
    """Read the container of torch before 1.6: magic number, version, system, content, storage keys, storages."""
    storages: dict[str, _Storage] = {}

    def find(dtype: np.dtype[Any], key: str, n_values: int) -> _Storage:
        return storages.setdefault(key, _Storage(path, dtype, n_values))

    with path.open("rb") as stream:
        if _SafeUnpickler(stream, find).load() != _LEGACY_MAGIC:
            raise ValueError("it does not begin as torch files do")
        for _ in ("version", "system"):
            _SafeUnpickler(stream, find).load()
        content = _SafeUnpickler(stream, find).load()
        for key in _SafeUnpickler(stream, find).load():
            (n_values,) = struct.unpack("<q", stream.read(8))
            storage = storages[key]
            if n_values != storage.n_values:
                raise ValueError(f"storage {key} has {n_values} values, expected {storage.n_values}")
            storage.start = stream.tell()
            end = storage.start + n_values * storage.dtype.itemsize
            if not storage.start <= end <= path.stat().st_size:
                raise ValueError(f"storage {key} is cut")
            stream.seek(end)
    return content


class _SafeUnpickler(pickle.Unpickler):
    """Rebuilds containers, numbers and references to tensors; everything else is refused."""

    def __init__(self, stream: Any, find: Callable[[np.dtype[Any], str, int], _Storage]) -> None:
        super().__init__(stream)
        self._find = find

    def find_class(self, module: str, name: str) -> Any:
        """Return the stand-in for a class that torch files are known to name."""
        if module == "torch" and name in _STORAGES:
            return np.dtype(_STORAGES[name])
        stand_in = _STAND_INS.get((module, name))
        if stand_in is None:
            raise _RefusedError(f"{module}.{name}")
        return stand_in

    def persistent_load(self, identity: Any) -> _Storage:
        """Return the reference to a storage."""
        kind, dtype, key, _, n_values = identity[:5]
        if kind != "storage" or not isinstance(dtype, np.dtype) or not isinstance(n_values, int):
            raise ValueError("an unknown kind of reference")
        return self._find(dtype, str(key), n_values)


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: Any
) -> StoredTensor:
    if not isinstance(storage, _Storage) or len(shape) != len(stride):
        raise ValueError("a tensor without storage")
    return StoredTensor(storage, int(offset), tuple(map(int, shape)), tuple(map(int, stride)))


class _NumberType:
    """Stand-in for `numpy.dtype`: remembers its name, ignores its state."""

    def __init__(self, name: str, *_: Any) -> None:
        self.name = name

    def __setstate__(self, state: Any) -> None:
        return


def _rebuild_scalar(kind: _NumberType, content: bytes | str) -> float:
    dtype = np.dtype(kind.name)
    if dtype.kind not in "fiu":
        raise ValueError(f"a NumPy scalar of type {kind.name}")
    raw = content.encode("latin1") if isinstance(content, str) else content
    return float(np.frombuffer(raw, dtype, 1)[0])


def _encode_text(text: str, *_: Any) -> bytes:
    return text.encode("latin1")


_STAND_INS: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): dict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("numpy", "dtype"): _NumberType,
    ("numpy.core.multiarray", "scalar"): _rebuild_scalar,
    ("numpy._core.multiarray", "scalar"): _rebuild_scalar,
    ("_codecs", "encode"): _encode_text,
}
