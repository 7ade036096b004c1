"""Stamps of masks that were made elsewhere: what of a folder or archive belongs to a video, without reading it."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from rvos.errors import InputError
from rvos.files.names import find_named
from rvos.files.trees import FolderTree, open_masks
from rvos.ids import list_paths
from rvos.videos import Video

# Below a video stand expressions, and below those the masks; a link that leads back up is not walked for ever.
_DEPTH = 2


def stamp_masks(path: Path, video: Video) -> object:
    """Return the stamps of what a folder or archive holds of a video, and of the key frames beside it.

    Size and time are enough here: imports are tens of thousands of small files, which a run reads only once, and a
    copy with other times costs no more than a second import.
    """
    if not os.path.isdir(path):
        return stamp(path)
    # Inside the folder or beside it, as the official tools leave it.
    key_frames = [path / "key_frame.json", path.parent / "key_frame.json"]
    masks = path
    with suppress(InputError):  # importing it will say so
        tree = open_masks(path, list_paths([video.id]))
        masks = tree.root if isinstance(tree, FolderTree) else path
    places = [find_named(masks, video.id), find_named(path, f"{video.id}.json"), *key_frames]
    return [stamp(place) for place in places]


def stamp(path: Path, *, depth: int = _DEPTH) -> object:
    """Return size and time of change of a file, or of every file at most `depth` folders below a folder."""
    try:
        if depth and os.path.isdir(path):
            return [[name, stamp(path / name, depth=depth - 1)] for name in sorted(os.listdir(path))]
        status = os.stat(path)
    except (OSError, ValueError):
        return None
    # Without the inode: a folder that was copied with its times is the same import.
    return [status.st_size, status.st_mtime_ns]
