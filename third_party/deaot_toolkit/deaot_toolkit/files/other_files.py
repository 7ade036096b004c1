"""What users give in place of a checkpoint: pages that downloads leave, packed files, one part of several."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from deaot_toolkit.errors import CheckpointError

START_LENGTH = 1024
"""As many bytes of a file tell what it is."""
_ZIP = b"PK\x03\x04"
_PAGES = (b"<!doctype", b"<html", b"<head", b"<?xml", b"<!--", b"<script")
_PACKED = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ": "xz", b"7z\xbc\xaf": "7z", b"Rar!": "rar"}
_TAR, _TAR_PLACE = b"ustar", 257
_PART = re.compile(r"-(\d{1,9})-of-(\d{1,9})(?=\.)")
_JOIN = "give the folder with all of them to a network that takes one, else save their tensors as one file"


def refuse_other_files(path: Path, start: bytes, *, is_part: bool = False) -> None:
    """Raise a CheckpointError for what cannot be a checkpoint by its name and first `START_LENGTH` bytes.

    Args:
        is_part: one part of several is what is wanted.
    """
    text = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    packed = next((name for mark, name in _PACKED.items() if start.startswith(mark)), None)
    part = _PART.search(path.name)
    reason = None
    if not start:
        reason = "an empty file; copy it again"
    elif text.startswith(_PAGES):
        reason = (
            "a web page, not a checkpoint; the download wanted a login or a confirmation: "
            "open its address in a browser and save the file itself"
        )
    elif text.startswith(b"version https://git-lfs"):
        reason = "a git-LFS pointer, not the checkpoint itself; run `git lfs pull` in its repository"
    elif text.startswith((b'{"', b"{\n", b"{\r")):
        reason = "JSON text, not a checkpoint; download the file of weights"
        if path.name.endswith(".index.json") or b'"weight_map"' in text:
            reason = f"the index of weights that lie in several parts, not a checkpoint; {_JOIN}"
    elif part is not None and int(part[2]) > 1 and not is_part:
        reason = f"part {int(part[1])} of {int(part[2])} of a checkpoint, not the whole; {_JOIN}"
    elif packed or start[_TAR_PLACE:].startswith(_TAR):
        reason = f"packed with {packed or 'tar'}; unpack it first"
    elif start.startswith(_ZIP):
        reason = _describe_archive(path)
    if reason is not None:
        raise CheckpointError(f"{path}: {reason}")


def _describe_archive(path: Path) -> str | None:
    """Return what a zip archive is that torch did not write; None: it did, or the archive is damaged."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (OSError, ValueError, LookupError, NotImplementedError, zipfile.BadZipFile):
        return None
    if any(name.endswith("data.pkl") for name in names):
        return None
    held = ascii(names[0])[1:-1][:60] if names else "nothing"
    return f"a zip archive around {held}, not a checkpoint; unpack it first"
