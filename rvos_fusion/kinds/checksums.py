"""Checksums of files, each read once: what a file holds decides whether a result is still valid."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

from rvos.errors import InputError, StoreError
from rvos.files.atomic import hash_file, write_atomically
from rvos.files.json_files import read_json
from rvos.videos import Video

# State and checksum of a file, as a line of the cache.
_ROW = 2


class Checksums:
    """SHA-256 of files, kept in the workspace; a file whose size, time of change and inode are known is not read.

    The size alone would miss a frame that is replaced by another of equal length, and the content alone would cost
    a whole read of the data set before every run. The inode tells apart files that were copied with their times.
    """

    def __init__(self, workspace: Path) -> None:
        self._cache = workspace / "checksums.json"
        self._known = _read_cache(self._cache)
        self._is_new = False
        self._frames: dict[tuple[Path, ...], str] = {}

    def get(self, path: Path) -> str:
        """Return the checksum of a file, or of all files below a folder with their names; InputError without."""
        if path.is_dir():
            # Names count, and so does their place below the folder; where the folder itself lies does not.
            return hash_json([[str(child.relative_to(path)), self.get(child)] for child in _list_files(path)])
        if not path.is_file():  # a pipe would be read for ever
            raise InputError(f"{path}: no such file; check the path")
        try:
            status = path.stat()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); check the file") from None
        # Absolute, as the next command may start elsewhere.
        name, state = os.path.abspath(path), f"{status.st_size} {status.st_mtime_ns} {status.st_ino}"
        if name not in self._known or self._known[name][0] != state:
            # The state before the read is kept: a file that changes meanwhile is read again next time.
            self._known[name] = (state, hash_file(path))
            self._is_new = True
        return self._known[name][1]

    def find(self, path: Path) -> str | None:
        """Return the checksum of a file; None where there is none that can be read."""
        try:
            return self.get(path)
        except InputError:
            return None

    def frames(self, video: Video) -> str:
        """Return one checksum of all images of a video, asked for by every network that sees it.

        A missing or unreadable frame counts as such: it fails its own video when that runs, and no other.
        """
        # Once a plan: every network of a recipe asks for the same frames.
        if video.image_paths not in self._frames:
            self._frames[video.image_paths] = hash_json([self.find(path) for path in video.image_paths])
        return self._frames[video.image_paths]

    def save(self) -> None:
        """Keep what is known for the next command, where there is a workspace that can be written.

        Nothing is lost where there is none: commands that only look at results must not make one, nor fail for it.
        """
        if self._is_new and self._cache.parent.is_dir():
            with suppress(StoreError):
                # Two runs at a time each write their own; the later one wins, and the other's files are read once more.
                write_atomically(self._cache, json.dumps(self._known, separators=(",", ":"), sort_keys=True).encode())
                self._is_new = False


def hash_json(content: object) -> str:
    """Return the checksum of plain values; the order of keys does not matter."""
    # Lists keep their order, as the order of members and expressions can decide ties. The form of the text is fixed
    # here and not left to the library.
    text = json.dumps(content, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    # Names of files need not be valid text: what could not be decoded passes through as it was.
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _list_files(folder: Path) -> list[Path]:
    """Return all files below a folder in one order on every machine; links to folders are not followed."""
    # Folders come in the order of the file system, which differs between machines.
    paths = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    return sorted(path for path in paths if path.is_file())


def _read_cache(path: Path) -> dict[str, tuple[str, str]]:
    try:
        content = read_json(path)
    except InputError:
        return {}
    # Whatever is wrong in there costs time alone: what is not known is read again.
    rows = content.items() if isinstance(content, dict) else ()
    return {name: (str(row[0]), str(row[1])) for name, row in rows if isinstance(row, list) and len(row) == _ROW}
