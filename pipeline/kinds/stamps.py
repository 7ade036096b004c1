"""Stamps of masks that were made elsewhere: what of a folder or archive belongs to a video, without reading it."""

from __future__ import annotations

from pathlib import Path

from rvos.videos import Video


def stamp_masks(path: Path, video: Video) -> object:
    """Return the stamps of what a folder or archive holds of a video, and of the key frames beside it.

    Size and time are enough here: imports are tens of thousands of small files, which a run reads only once, and a
    copy with other times costs no more than a second import.
    """
    if not path.is_dir():
        return stamp(path)
    key_frames = [path / "key_frame.json", path.parent / "key_frame.json"]
    places = [path / video.id, path / "Annotations" / video.id, path / f"{video.id}.json", *key_frames]
    return [stamp(place) for place in places]


def stamp(path: Path) -> object:
    """Return size and time of change of a file, or of every file below a folder."""
    if path.is_dir():
        return [[child.name, stamp(child)] for child in sorted(path.iterdir())]
    try:
        status = path.stat()
    except OSError:
        return None
    return [status.st_size, status.st_mtime_ns]
