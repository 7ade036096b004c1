"""The folder of a run's results: made before the first task, cleared of what killed runs left."""

from __future__ import annotations

import time
from pathlib import Path

from rvos.files import write_atomically

_ABANDONED = 3600.0


def prepare_workspace(path: Path) -> None:
    """Make the workspace, test that it can be written, and remove what killed runs left half written.

    Raises:
        StoreError: read-only, full, or no folder.
    """
    write_atomically(path / ".gitignore", b"*\n")
    for part in path.glob("nodes/*/.*.part"):
        try:
            if time.time() - part.stat().st_mtime > _ABANDONED:  # younger ones may belong to a run beside this one
                part.unlink()
        except OSError:
            continue
