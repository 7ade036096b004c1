"""Zip archives: entries of our own, and those of others opened with the names they mean, read within bounds."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from rvos.errors import InputError
from rvos.files.atomic import LARGEST_FILE, open_regular
from rvos.ids import compose_name

ZIP_ERRORS = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    OSError,
    ValueError,
    LookupError,
    OverflowError,
    MemoryError,
)
# LZMA is left out: the header of a member may ask for gigabytes of memory.
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2})
# No mask and no JSON file of this size packs so well; what does is made to fill the memory.
_LARGEST_DENSE = 1 << 24
_MOST_PACKED = 200
_SAYS_UTF8 = 0x800
_FIXED_TIME = (1980, 1, 1, 0, 0, 0)
_FILE_RIGHTS = 0o100644 << 16
_UNIX = 3


def make_entry(name: str) -> zipfile.ZipInfo:
    """Return an entry of an archive that carries no time of today."""
    entry = zipfile.ZipInfo(name, _FIXED_TIME)
    entry.external_attr, entry.create_system = _FILE_RIGHTS, _UNIX
    return entry


def open_archive(path: Path) -> zipfile.ZipFile:
    """Return an opened zip archive, its names composed. Raises InputError: missing, no file, or not a whole archive."""
    stream = open_regular(path)
    try:
        archive = zipfile.ZipFile(stream)
    except ZIP_ERRORS as error:
        stream.close()
        raise InputError(f"{path}: not a whole zip archive ({error}); make it again") from None
    for info in archive.infolist():
        if not info.filename.isascii():
            info.filename = compose_name(_read_name(info))
            archive.NameToInfo[info.filename] = info
    return archive


def _read_name(info: zipfile.ZipInfo) -> str:
    """Return the name of a member: programs write UTF-8 without saying so, which zipfile takes for cp437."""
    if info.flag_bits & _SAYS_UTF8:
        return info.filename
    try:
        return info.filename.encode("cp437").decode("utf-8")
    except UnicodeError:
        return info.filename


def read_member(archive: zipfile.ZipFile, name: str, *, where: str, most: int = LARGEST_FILE) -> bytes:
    """Return a file of an archive. Raises InputError: damaged, or unpacking to more than `most`, or as bombs do."""
    info = archive.getinfo(name)
    if info.compress_type not in _METHODS:
        raise InputError(f"{where}: packed by method {info.compress_type}; pack with deflate, or without compression")
    if info.file_size > most or _is_bomb(info):
        raise InputError(f"{where}: {_too_large(info)}")
    try:
        return archive.read(info)
    except ZIP_ERRORS as error:
        raise InputError(f"{where}: damaged in the archive ({error}); make it again") from None


def refuse_bombs(archive: zipfile.ZipFile, *, where: str) -> None:
    """Raise an InputError if a member is made to fill the memory."""
    for info in archive.infolist():
        if _is_bomb(info):
            raise InputError(f"{where}: {info.filename}: {_too_large(info)}")


def _is_bomb(info: zipfile.ZipInfo) -> bool:
    return info.file_size > _LARGEST_DENSE and info.file_size > _MOST_PACKED * info.compress_size


def _too_large(info: zipfile.ZipInfo) -> str:
    return f"unpacks to {info.file_size} bytes, which no such file has; make the archive again"


def check_names(names: Iterable[str], *, where: str) -> None:
    """Check the names in an archive. Raises InputError: one is absolute, climbs out, or occurs twice."""
    seen: set[str] = set()
    for name in names:
        if "\\" in name:
            raise InputError(
                f"{where}: {name!r} is named with backslashes, so it lies in no folder; pack it again with a program "
                "that writes / between folders"
            )
        if name.startswith("/") or ".." in PurePosixPath(name).parts or ":" in name:
            raise InputError(f"{where}: unsafe name {name!r}; make the archive again with names below its root")
        if name in seen:
            raise InputError(f"{where}: {name} is in the archive twice; make it again")
        seen.add(name)
