"""Masks that were made elsewhere: what they lack, and folders of propagated masks."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from rvos.errors import InputError
from rvos.ids import compose_name, list_paths
from rvos.imports import Source
from rvos.imports.png_folders import open_png_folder
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.settings import count
from rvos.videos import Video
from rvos_fusion.kinds.base import Task

_DEEPEST = 4
_MOST_FOLDERS = 200


def find_lacking(
    source: Source, videos: Sequence[Video], path: Path, *, deep: bool = False, refuses: bool = True
) -> Iterator[str]:
    """Yield what a source has no masks for, or of another size, one line a video; `deep` reads all masks, not some.

    Without `refuses`, masks that are missing are no fault, and only those that are there are looked at.
    """
    present = frozenset(source.list_videos())
    place = find_deeper(path, videos) if present.isdisjoint(video.id for video in videos) else None
    if place is not None:
        yield f"{path}: no masks of these videos; they lie in another folder, give path: {place}"
        return
    for video in videos:
        if not refuses:
            gaps = source.list_gaps(video)
            video = replace(video, expressions=tuple(one for one in video.expressions if one.id not in gaps))
            if not video.expressions:
                continue
        if video.id not in present:
            yield f"{video.id}: no masks"
            continue
        found = frozenset(source.list_expressions(video.id))
        missing = [expression.id for expression in video.expressions if expression.id not in found]
        lacking = [] if missing else source.list_lacking(video)
        if missing:
            n_missing = f"{len(missing)} of {count(len(video.expressions), 'expression')}"
            yield f"{video.id}: no masks for {n_missing}, first {missing[0]!r}"
        elif lacking:
            yield f"{video.id}: {count(len(lacking), 'mask is', 'masks are')} missing, first {lacking[0]}"
        else:
            try:
                source.read(video) if deep else source.sample(video)
            except InputError as error:
                yield str(error)


def find_deeper(path: Path, videos: Sequence[Video]) -> Path | None:
    """Return the folder that masks of videos lie in, a few folders below a path or right above it; None: not found."""
    names = {name for video in videos for name in (video.id.partition("/")[0], f"{video.id}.json")}
    if compose_name(path.name) in names:
        return _shorten(path.parent)
    waiting = [path]
    for _ in range(_DEEPEST):
        waiting = [Path(one) for folder in waiting for one in _list_folders(folder)][:_MOST_FOLDERS]
        for folder in waiting:
            if names.intersection(map(compose_name, os.listdir(folder))):
                return _shorten(folder)
    return None


def _list_folders(folder: Path) -> list[str]:
    try:
        return sorted(one.path for one in os.scandir(folder) if one.is_dir() and os.access(one.path, os.R_OK | os.X_OK))
    except OSError:
        return []


def _shorten(path: Path) -> Path:
    """Return a path as it is typed here."""
    here = Path.cwd()
    return path.relative_to(here) if path.is_relative_to(here) else path


def import_folder(folder: Path, task: Task, sources: Sequence[MaskSequence]) -> Sequence[MaskSequence]:
    """Return masks of a folder that was made from `sources`, in their order.

    Raises an InputError for masks that are missing, damaged, or of another size than those they were made from.
    """
    found = by_expression(_open_masks(folder, list_paths([task.video.id])).read(task.video))
    for source in sources:
        mask = found[source.expression]
        if mask.size != source.size:
            raise InputError(
                f"{folder / task.video.id / source.expression}: masks of {mask.size[0]} x {mask.size[1]} pixels, "
                f"{source.size[0]} x {source.size[1]} before propagation; propagate these masks again"
            )
    return [found[source.expression] for source in sources]


@lru_cache(maxsize=1)
def _open_masks(folder: Path, paths: frozenset[str]) -> Source:
    """Return a folder's masks without the key frames beside it: propagation keeps those that it started from."""
    return replace(open_png_folder(folder, paths), key_frames={})
