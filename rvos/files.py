"""Files that are either whole or absent: written under a temporary name, synchronised, renamed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from rvos.errors import StoreError


def write_atomically(path: Path, blocks: Iterable[bytes] | bytes) -> None:
    """Write a file so that `path` never shows a part of it; parent folders are made.

    Raises:
        StoreError: the disk is full, the folder is read-only, or a parent is no folder.
    """
    temporary = path.with_name(f".{path.name[:40]}.{secrets.token_hex(6)}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as stream:
            stream.writelines([blocks] if isinstance(blocks, bytes) else blocks)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
        _synchronise_folder(path.parent)
    except OSError as error:
        raise StoreError(
            f"{path}: cannot be written ({error.strerror or error}); free disk space or choose a folder you may write"
        ) from None
    finally:
        _remove(temporary)


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError:  # a parent is no folder or is read-only: nothing was made
        return


def _synchronise_folder(folder: Path) -> None:
    """Make the rename itself durable, where the system can."""
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError:
        return
    try:
        os.fsync(handle)
    except OSError:
        return
    finally:
        os.close(handle)
