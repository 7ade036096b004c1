"""Which result of a node and video is meant: lines `node,video,name` that are only ever added; the last one counts.

Several processes may add at a time, and one that is killed leaves at most half a line, which is passed over.
"""

from __future__ import annotations

import csv
import io
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rvos.errors import InputError
from rvos.files.atomic import LARGEST_FILE, append_text, open_regular, write_atomically

Names = Mapping[tuple[str, str], str]
"""The name of a result by node and video."""
NAME_LENGTH = 16
_NAME = re.compile(rf"\w{{1,{NAME_LENGTH}}}", re.ASCII)
_LONGEST_LINE = 1000
_N_FIELDS = 3
_TAIL = 256


def name_result(fingerprint: str) -> str:
    """Return the name of a result's file: the first digits of its fingerprint, 64 bits for each node and video."""
    return fingerprint[:NAME_LENGTH]


@dataclass(frozen=True, slots=True)
class ResultIndex:
    """An index file; one that is missing, or no file of this form, says nothing."""

    path: Path

    def read(self) -> Names:
        """Return what the file says."""
        # Readers without a recipe ask for one result after the other, and a run adds one after the other.
        if self.path not in _known:
            while len(_known) >= _MOST_KNOWN:
                del _known[next(iter(_known))]
            _known[self.path] = _Reading()
        return _known[self.path].continue_in(self.path)

    def add(self, names: Names) -> None:
        """Add what the file does not say yet. Raises StoreError: the file cannot be written."""
        known = self.read()
        new = {key: name for key, name in names.items() if known.get(key) != name}
        if new:
            # Half a line of a killed run must not swallow the first of these.
            append_text(self.path, f"\n{_format(new)}")

    def replace(self, names: Names) -> None:
        """Let the file say this and nothing else. Raises StoreError: the file cannot be written."""
        write_atomically(self.path, _format(names).encode())


def _format(names: Names) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows((*key, name) for key, name in names.items())
    return stream.getvalue()


class _Reading:
    """What was read of a file that only grows, or is replaced by another."""

    def __init__(self) -> None:
        self._forget()

    def _forget(self) -> None:
        self._end, self._tail = 0, b""
        self._names: dict[tuple[str, str], str] = {}

    def continue_in(self, path: Path) -> Names:
        """Read what was added since, and return all."""
        try:
            if path.is_symlink():  # nothing of ours
                raise InputError(f"{path}: a link")
            with open_regular(path) as stream:
                stream.seek(self._end - len(self._tail))
                if stream.read(len(self._tail)) != self._tail:
                    self._forget()
                    stream.seek(0)
                added = stream.read(LARGEST_FILE)
        except (InputError, OSError):
            self._forget()
            return self._names
        # Half a line is read when it is whole, or never.
        whole = added[: added.rfind(b"\n") + 1]
        self._end += len(whole)
        self._tail = (self._tail + whole)[-_TAIL:]
        self._names |= _parse(whole)
        return self._names


_known: dict[Path, _Reading] = {}
_MOST_KNOWN = 4


def _parse(content: bytes) -> dict[tuple[str, str], str]:
    lines = content.decode("utf-8", "replace").splitlines()
    # Each for itself: half a line may hold a quote that would swallow all that follow.
    rows = (next(csv.reader([line]), []) for line in lines if line and len(line) <= _LONGEST_LINE)
    return {
        (sys.intern(row[0]), sys.intern(row[1])): row[2]
        for row in rows
        if len(row) == _N_FIELDS and _NAME.fullmatch(row[2])
    }
