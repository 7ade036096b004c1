"""Where results lie, for tests that look at files."""

from __future__ import annotations

from pathlib import Path

from rvos.masks.stored.store import Store


def find_result(workspace: Path, node: str, video: str) -> Path:
    """Return the file of the current result."""
    return Store(workspace).path(node, video)


def list_results(workspace: Path) -> list[Path]:
    """Return the files of the results of all settings, sorted."""
    return sorted(workspace.glob("nodes/*/*/*.masks"))


def move_back(workspace: Path) -> None:
    """Put the current results where workspaces of before had them, and leave nothing of the form of today."""
    for path in list_results(workspace):
        path.rename(path.parent.with_name(f"{path.parent.name}.masks"))
        for beside in path.parent.iterdir():
            beside.unlink()
        path.parent.rmdir()
    for note in (workspace / "made_by").iterdir():
        note.unlink()
    (workspace / "made_by").rmdir()
    (workspace / "current.csv").unlink()
