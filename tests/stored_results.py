"""Where results lie, for tests that look at files."""

from __future__ import annotations

from pathlib import Path

from rvos.masks.stored.store import Store


def find_result(workspace: Path, node: str, video: str) -> Path:
    """Return the file of the current result."""
    return Store(workspace).path(node, video)


def find_report(workspace: Path, node: str, video: str) -> Path:
    """Return the file of what a node said beside the current result."""
    store = Store(workspace)
    return store.folder(node, video) / f"{store.index.read()[node, video]}.json"


def list_results(workspace: Path) -> list[Path]:
    """Return the files of the results of all settings, sorted."""
    return sorted((workspace / "nodes").rglob("*.masks"))


def move_back(workspace: Path) -> None:
    """Leave of a workspace of single results what workspaces had before several settings lay side by side."""
    for path in list_results(workspace):
        folder = path.with_suffix("")
        for beside in folder.glob("*"):
            beside.unlink()
        if folder.is_dir():
            folder.rmdir()
    for note in (workspace / "made_by").iterdir():
        note.unlink()
    (workspace / "made_by").rmdir()
    (workspace / "current.csv").unlink()
