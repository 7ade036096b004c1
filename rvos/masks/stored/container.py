"""The file of a stored result: a zip archive of a description and named parts, one member each.

    description.json    format, artefact, node, video, fingerprint, and what the artefact's codec says of the parts
    NAME                a zlib stream, for every part

Members are stored as they are, without time stamps, so that equal results are equal files and a checksum can be tested
without unpacking. Names, lengths and checksums are those of the archive.
"""

from __future__ import annotations

import io
import json
import os
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from rvos.errors import InputError, StoreError
from rvos.files.archives import make_entry
from rvos.files.json_files import parse_json
from rvos.masks.stored.codec import Packed
from rvos.masks.stored.fields import read_integer, read_text
from rvos.settings.problems import count

FORMAT_VERSION = 2
LARGEST_RESULT = 3 << 27
"""Bytes of all parts of a result, unpacked: what a damaged or hostile file can make us hold."""
_DESCRIPTION = "description.json"
_LARGEST_DESCRIPTION = 1 << 23
_LARGEST_DIRECTORY = 1 << 22
_ZLIB_LEVEL = 6
_BLOCK = 1 << 20
_END = struct.Struct("<4s4H2LH")
_END_SIGNATURE = b"PK\x05\x06"
_ZIP64_LOCATOR = b"PK\x06\x07"
_LOCATOR_BYTES = 20
_LOCAL_HEADER_BYTES = 30
_FIRST_FORMAT = b"RVOSMASK"
_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, ValueError, struct.error)


@dataclass(frozen=True, slots=True)
class Description:
    """What a file says of itself: the codec's content, and the versions of what made it, where they were kept."""

    artefact: str
    node: str
    video: str
    fingerprint: str
    content: Mapping[str, Any]
    versions: Mapping[str, int] = field(default_factory=dict)


def pack(description: Description, packed: Packed) -> bytes:
    """Return the bytes of a file, equal for equal results. Raises ValueError: more than can be read again."""
    text = _to_json(description)
    total = sum(len(part) for part in packed.parts.values())
    if total > LARGEST_RESULT or len(text) > _LARGEST_DESCRIPTION:
        raise ValueError(f"{count(total, 'byte')} of parts and {len(text)} of description are too much for one file")
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        archive.writestr(make_entry(_DESCRIPTION), text)
        for name, part in packed.parts.items():
            archive.writestr(make_entry(name), zlib.compress(part, _ZLIB_LEVEL))
    return stream.getvalue()


class Container:
    """An opened file whose members lie one after the other, whole and without anything between them."""

    def __init__(self, path: Path, archive: zipfile.ZipFile) -> None:
        self._path = path
        self._archive = archive
        self._left = LARGEST_RESULT
        self.description = _parse_description(path, self._read_member(_DESCRIPTION, _LARGEST_DESCRIPTION))

    def check(self) -> None:
        """Test the checksums of all parts, unpacking none. Raises ValueError, OSError, BadZipFile: damaged."""
        for info in self._archive.infolist():
            with self._archive.open(info) as stream:
                while stream.read(_BLOCK):
                    pass

    def read(self, name: str, n_bytes: int | None = None) -> bytes:
        """Return a part, which must have `n_bytes` bytes if given.

        Raises:
            ValueError, OSError, zlib.error, zipfile.BadZipFile: missing, damaged, too large, or of another length.
        """
        most = self._left if n_bytes is None else n_bytes
        if most > self._left:
            raise ValueError(f"part {name} of {most} bytes is too much")
        packed = self._read_member(name, LARGEST_RESULT)
        inflate = zlib.decompressobj()
        raw = inflate.decompress(packed, most + 1)
        if len(raw) > most or not inflate.eof or inflate.unused_data or (n_bytes is not None and len(raw) != n_bytes):
            raise ValueError(f"part {name} does not hold what its description says")
        self._left -= len(raw)
        return raw

    def _read_member(self, name: str, most: int) -> bytes:
        try:
            info = self._archive.getinfo(name)
        except KeyError:
            raise ValueError(f"no part {name}") from None
        if info.file_size > most:
            raise ValueError(f"part {name} of {info.file_size} bytes is too much")
        return self._archive.read(info)


@contextmanager
def open_container(path: Path) -> Iterator[Container]:
    """Open a file, all faults of which, and of its use, are a StoreError: missing, damaged, foreign, other formats."""
    try:
        with _open_regular(path) as stream:
            _check_end(path, stream)
            with zipfile.ZipFile(stream) as archive:
                _check_layout(archive)
                yield Container(path, archive)
    except FileNotFoundError:
        raise StoreError(f"{path}: no such result; run the node first") from None
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror or error}); check the file and its folder") from None
    except (InputError, KeyError, TypeError, AttributeError, OverflowError, IndexError, MemoryError, *_DAMAGE) as error:
        reason = " ".join(str(error).split())[:200]
        raise StoreError(f"{path}: damaged ({reason}); delete it and run the node again") from None


def _open_regular(path: Path) -> BinaryIO:
    # Without O_NONBLOCK, opening a pipe waits for a writer that may never come.
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    stream = os.fdopen(handle, "rb")
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        stream.close()
        raise ValueError("no regular file")
    return stream


def _check_end(path: Path, stream: BinaryIO) -> None:
    """Check, before anything is believed, that the archive has a short directory, no comment and no 64-bit fields."""
    if stream.read(len(_FIRST_FORMAT)) == _FIRST_FORMAT:
        raise StoreError(f"{path}: format version 1, expected {FORMAT_VERSION}; run the node again")
    size = stream.seek(0, os.SEEK_END)
    if size < _END.size:
        raise ValueError("no stored result")
    stream.seek(max(0, size - _END.size - _LOCATOR_BYTES))
    tail = stream.read()
    signature, *_, directory, start, comment = _END.unpack(tail[-_END.size :])
    if signature != _END_SIGNATURE or tail.startswith(_ZIP64_LOCATOR) or comment:
        raise ValueError("no stored result, or a cut one")
    if directory > _LARGEST_DIRECTORY or start + directory + _END.size != size:
        raise ValueError("the directory of parts is not where it should be")


def _check_layout(archive: zipfile.ZipFile) -> None:
    """Check that the members are ours: stored, not encrypted, no two of a name, none over another."""
    place = 0
    for info in archive.infolist():
        is_plain = info.compress_type == zipfile.ZIP_STORED and info.file_size == info.compress_size
        if not is_plain or info.flag_bits or info.extra or info.comment or info.header_offset != place:
            raise ValueError(f"part {info.filename} is not as we store them")
        place += _LOCAL_HEADER_BYTES + len(info.filename.encode()) + info.compress_size
    if place != archive.start_dir or len(set(archive.namelist())) != len(archive.namelist()):
        raise ValueError("parts lie over each other, or have one name")


def _to_json(description: Description) -> bytes:
    content = {
        "format": FORMAT_VERSION,
        "artefact": description.artefact,
        "node": description.node,
        "video": description.video,
        "fingerprint": description.fingerprint,
        "versions": dict(description.versions),
        "content": description.content,
    }
    return json.dumps(content, ensure_ascii=False, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()


def _parse_description(path: Path, text: bytes) -> Description:
    raw = parse_json(text, where="description")
    if raw["format"] != FORMAT_VERSION:
        raise StoreError(f"{path}: format version {raw['format']!r}, expected {FORMAT_VERSION}; run the node again")
    # Files of before versions were kept have none.
    versions = raw.get("versions", {})
    if not isinstance(raw["content"], dict) or not isinstance(versions, dict):
        raise ValueError("a description that is not ours")
    return Description(
        read_text(raw["artefact"]),
        read_text(raw["node"]),
        read_text(raw["video"]),
        read_text(raw["fingerprint"]),
        raw["content"],
        {read_text(name): read_integer(version) for name, version in versions.items()},
    )
