"""Names in folders: those that systems leave, and those that systems wrote in another Unicode normal form."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath

from rvos.ids import compose_name, compose_names

_SYSTEM_NAMES = frozenset(
    {
        "__macosx",
        "thumbs.db",
        "ehthumbs.db",
        "desktop.ini",
        "@eadir",
        "#recycle",
        "$recycle.bin",
        "system volume information",
        "lost+found",
        "icon\r",
    }
)


def is_system_name(name: str) -> bool:
    """Return whether an operating system or file server left a file or folder of this name; no id starts with a dot."""
    return name.startswith((".", "~$")) or name.lower() in _SYSTEM_NAMES


def is_system_path(path: str) -> bool:
    """Return whether a part of a path with `/` is what systems leave behind."""
    return any(is_system_name(part) for part in path.split("/") if part not in ("", ".", ".."))


def find_named(folder: Path, name: str) -> Path:
    """Return the file or folder that `name`, with `/`, is below a folder, in whichever normal form the disk has it.

    Raises:
        InputError: two names of one of its folders are one.
    """
    if name.isascii() and os.path.lexists(folder / name):
        return folder / name
    place = folder
    for part in PurePosixPath(name).parts:
        try:
            place = place / list_names(place).get(compose_name(part), part)
        except (OSError, ValueError):
            return folder / name
    return place


def list_names(folder: Path) -> dict[str, str]:
    """Return composed name -> name on disk of all in a folder but what systems leave."""
    return compose_names((name for name in os.listdir(folder) if not is_system_name(name)), where=str(folder))
