"""The folder of a run's results: made before the first task, cleared of what killed runs left."""

from __future__ import annotations

import os
from pathlib import Path

from rvos.errors import StoreError
from rvos.files.atomic import check_inside, write_atomically
from rvos.files.leftovers import clear_leftovers


def find_place(path: Path) -> Path:
    """Return the folder where a workspace is, or would be made; StoreError where something else stands there."""
    place = path
    while not os.path.lexists(place) and place != place.parent:
        place = place.parent
    if not os.path.isdir(place):
        raise StoreError(f"{path}: {place} is no folder; choose another workspace")
    return place


def prepare_workspace(path: Path) -> None:
    """Make the workspace, remove what killed runs left half written; StoreError where it cannot be written."""
    find_place(path)
    places = (path / "nodes", path / "groups", path / "failures", *path.glob("nodes/*"), *path.glob("failures/*"))
    for place in places:
        check_inside(place, path)
    try:
        # A folder of the user's, such as `workspace: .`, keeps its own rules for git.
        is_new = not path.exists() or not any(path.iterdir())
    except OSError as error:
        raise StoreError(f"{path}: no folder that can be read ({error.strerror}); choose another workspace") from None
    probe = path / "nodes" / ".writable"
    write_atomically(probe, b"x")
    probe.unlink(missing_ok=True)
    if is_new:
        write_atomically(path / ".gitignore", b"*\n")
    for folder in (path, *places, *(Path(own) for node in path.glob("nodes/*") for own in _list_folders(node))):
        clear_leftovers(folder)


def _list_folders(folder: Path) -> list[str]:
    """Return the folders in a folder; links are left alone."""
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:  # no folder
        return []
