"""Masks that were made elsewhere: what they lack, and folders of propagated masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from rvos.errors import InputError
from rvos.imports import Source
from rvos.imports.png_folders import open_png_folder
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.videos import Video
from rvos_fusion.kinds.base import Task


def find_lacking(source: Source, videos: Sequence[Video]) -> Iterator[str]:
    """Yield what a source has no masks for, one line a video."""
    present = frozenset(source.list_videos())
    for video in videos:
        if video.id not in present:
            yield f"{video.id}: no masks"
            continue
        found = frozenset(source.list_expressions(video.id))
        missing = [expression.id for expression in video.expressions if expression.id not in found]
        lacking = [] if missing else source.list_lacking(video)
        if missing:
            n_missing = f"{len(missing)} of {len(video.expressions)}"
            yield f"{video.id}: no masks for {n_missing} expressions, first {missing[0]!r}"
        elif lacking:
            yield f"{video.id}: {len(lacking)} masks are missing, first {lacking[0]}"


def import_folder(folder: Path, task: Task, sources: Sequence[MaskSequence]) -> Sequence[MaskSequence]:
    """Return masks of a folder that was made from `sources`, in their order.

    Raises:
        InputError: masks are missing, damaged, or of another size than those they were made from.
    """
    found = by_expression(_open_masks(folder).read(task.video))
    for source in sources:
        mask = found[source.expression]
        if mask.size != source.size:
            raise InputError(
                f"{folder / task.video.id / source.expression}: masks of {mask.size[0]} x {mask.size[1]} pixels, "
                f"{source.size[0]} x {source.size[1]} before propagation; propagate these masks again"
            )
    return [found[source.expression] for source in sources]


@lru_cache(maxsize=1)
def _open_masks(folder: Path) -> Source:
    """Return a folder's masks without the key frames beside it: propagation keeps those that it started from."""
    return replace(open_png_folder(folder), key_frames={})
