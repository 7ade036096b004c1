"""Torch files looked at before torch reads them: nothing in them may ask for more memory than they have bytes."""

from __future__ import annotations

import io
import os
import pickletools
import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

from deaot_toolkit.errors import CheckpointError
from deaot_toolkit.files.other_files import START_LENGTH, refuse_other_files

_ZIP = b"PK\x03\x04"
_OLD_START = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."  # the pickled magic number
_INTEGERS = frozenset({"BININT", "BININT1", "BININT2", "INT", "LONG", "LONG1", "LONG4"})
_STORES = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_REFUSED = frozenset({"STACK_GLOBAL", "INST", "OBJ", "DUP", "EXT1", "EXT2", "EXT4", "MEMOIZE", "NEXT_BUFFER"})
# The old form is a row of pickles, followed by raw values.
_LEGACY_PICKLES = 4
# Far above any checkpoint; a small file can ask for endless work.
_MOST_OPCODES = 3_000_000
_NUMBERS = ("Double", "Float", "Half", "BFloat16", "Long", "Int", "Short", "Char", "Byte", "Bool")
_KNOWN = frozenset(
    {
        *(f"torch {kind}Storage" for kind in _NUMBERS),
        "torch._utils _rebuild_tensor",
        "torch._utils _rebuild_tensor_v2",
        "torch._utils _rebuild_parameter",
        "torch Size",
        "collections OrderedDict",
        "collections defaultdict",
        "argparse Namespace",
        "builtins dict",
        "__builtin__ dict",
    }
)


class RefusedFileError(Exception):
    """A file that names other than tensors, containers and numbers."""


def open_regular(path: Path, *, is_part: bool = False) -> BinaryIO:
    """Return the opened file, waiting for no pipe.

    Args:
        is_part: one part of several is what is wanted.

    Raises:
        CheckpointError: missing, or no file that could be a checkpoint.
    """
    try:
        # Without waiting: opening a pipe would block until somebody writes to it.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such checkpoint; check the path") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise CheckpointError(f"{path}: cannot be read ({reason}); check the path and its rights") from None
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise CheckpointError(f"{path}: a folder, pipe or device, not a checkpoint file; check the path")
    stream = os.fdopen(handle, "rb")
    try:
        refuse_other_files(path, stream.read(START_LENGTH), is_part=is_part)
    except CheckpointError:
        stream.close()
        raise
    stream.seek(0)
    return stream


def is_torch_file(stream: BinaryIO) -> bool:
    """Tell whether a file begins as those that `torch.save` writes, whatever its name says."""
    return stream.read(len(_OLD_START)).startswith((_ZIP, _OLD_START))


def check_torch_file(stream: BinaryIO) -> None:
    """Walk the pickles and records of a torch file without building anything.

    Raises:
        RefusedFileError: it names a class that official files do not hold.
        Exception: damaged, or claiming more than it holds.
    """
    size = os.fstat(stream.fileno()).st_size
    is_archive = stream.read(len(_ZIP)) == _ZIP
    stream.seek(0)
    if is_archive:
        _check_archive(stream, size)
        return
    # Magic number, version, system, content; the keys and values that follow are bounded by what these claim.
    for _ in range(_LEGACY_PICKLES):
        _check_pickle(stream, size)


def _check_archive(stream: BinaryIO, size: int) -> None:
    with zipfile.ZipFile(stream) as archive:
        for record in archive.infolist():
            is_stored = record.compress_type == zipfile.ZIP_STORED and record.compress_size == record.file_size
            if not is_stored or record.file_size > size:
                raise ValueError(f"the record {record.filename!r:.60} is packed, torch stores it as it is")
        for record in archive.infolist():
            # Reading a record tests its checksum; files that were written without have 0 there.
            if record.CRC and not record.filename.endswith(".pkl"):
                with archive.open(record) as content:
                    while content.read(1 << 20):
                        pass
            elif record.filename.endswith(".pkl"):
                _check_pickle(io.BytesIO(archive.read(record)), size)


def _check_pickle(stream: BinaryIO, size: int) -> None:
    """Walk one pickle and leave the stream behind it."""
    numbers: list[int] = []
    previous = ""
    for count, (opcode, argument, _) in enumerate(_read_opcodes(stream)):
        name = opcode.name
        # Names of classes are only accepted in the plain form that torch writes; all other ways to one are refused.
        if name in _REFUSED or (name == "GLOBAL" and argument not in _KNOWN):
            raise RefusedFileError(str(argument or name).replace(" ", "."))
        if count > _MOST_OPCODES:
            raise ValueError(f"more than {_MOST_OPCODES} parts")
        if name in _STORES and (previous in _INTEGERS or not isinstance(argument, int) or argument > count):
            raise ValueError(f"it names object {argument} where there are at most {count}")
        if name == "MARK":
            numbers = []
        elif name in _INTEGERS and isinstance(argument, int):
            numbers.append(argument)
        elif name == "BINPERSID" and any(not 0 <= number <= size for number in numbers):
            # A reference to a storage ends with its number of values, which torch would make room for unread.
            raise ValueError("it claims more values than it has bytes")
        previous = name


def _read_opcodes(stream: BinaryIO) -> Iterator[tuple[pickletools.OpcodeInfo, Any, int | None]]:
    try:
        yield from pickletools.genops(stream)
    except MemoryError:
        raise ValueError("it claims a text longer than the file") from None


DAMAGE = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    NotImplementedError,
    OSError,
    RecursionError,
    RuntimeError,
    TypeError,
    ValueError,
    zipfile.BadZipFile,
    zlib.error,
)
"""What a damaged file may raise."""
