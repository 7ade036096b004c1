"""A folder of results for one clip: whose it is, and which masks of an earlier call stand in it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from rvos.errors import ConfigError, InputError
from rvos.files.atomic import write_atomically
from rvos.files.json_files import read_json
from rvos_fusion.clips.own_videos import name_video

_FILE = "clip.json"
_MOST_NAMESAKES = 1000


def choose_folder(source: Path, out: Path | None, *, root: Path) -> Path:
    """Return the folder of a clip's results: the one that is asked for, or one of its own below `root`.

    Raises a ConfigError where the one that is asked for holds another clip's results.
    """
    if out is not None:
        owner = _read(out).get("source", name_source(source))
        if owner != name_source(source):
            raise ConfigError(f"{out}: holds the masks of {owner}; give another --out, or remove that folder")
        return out
    # Clips of equal names in different folders are different clips.
    for number in range(1, _MOST_NAMESAKES):
        folder = root / (name_video(source) if number == 1 else f"{name_video(source)}-{number}")
        if _read(folder).get("source", name_source(source)) == name_source(source):
            return folder
    raise ConfigError(f"{root}: too many clips of the name {name_video(source)}; give --out")


def name_source(source: Path) -> str:
    """Return what a clip is known by: its whole path."""
    return os.path.realpath(source)


def write_owner(folder: Path, source: Path, masks: Iterable[str]) -> None:
    """Say in the folder whose results it holds, and remove the masks of an earlier call that are no longer among them.

    `masks` are files below `masks/`, such as `0/00005.png`. Raises a StoreError where a file cannot be written.
    """
    kept = sorted(set(masks))
    for name in _read(folder).get("masks", []):
        path = folder / "masks" / str(name)
        # Only what an earlier call wrote: the folder may hold more of the user's.
        if name not in kept and path.is_file() and ".." not in path.parts:
            path.unlink()
            if path.parent != folder / "masks" and not any(path.parent.iterdir()):
                path.parent.rmdir()
    content = {"source": name_source(source), "masks": kept}
    write_atomically(folder / _FILE, json.dumps(content, indent=1).encode())


def _read(folder: Path) -> Mapping[str, Any]:
    """Return what the folder says of itself; nothing where it is new, or was made before such a file was written."""
    if not os.path.lexists(folder / _FILE):
        return {}
    try:
        content = read_json(folder / _FILE)
    except InputError:
        return {}
    has_form = isinstance(content, dict) and isinstance(content.get("source"), str)
    return content if has_form and isinstance(content.get("masks", []), list) else {}
