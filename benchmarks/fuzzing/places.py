"""What may stand where a file should: pipes, folders, devices, links."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

PLACES: Mapping[str, Callable[[Path], None]] = {
    "nothing": lambda path: None,
    "pipe": lambda path: os.mkfifo(path),
    "folder": lambda path: path.mkdir(),
    "endless device": lambda path: path.symlink_to("/dev/zero"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "link to its folder": lambda path: path.symlink_to("."),
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link out": lambda path: path.symlink_to("/etc/hostname"),
}
