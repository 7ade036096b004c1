"""Masks of other systems as a node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from pipeline.recipe import DumpValues, ImportFormat, ImportNode
from pipeline.tasks import Task
from rvos.errors import InputError
from rvos.imports import Source, open_source
from rvos.imports.png_folders import open_png_folder
from rvos.mask_sequences import MaskSequence


def compute(task: Task) -> Sequence[MaskSequence]:
    """Return the masks of all expressions."""
    node = task.node
    assert isinstance(node, ImportNode)
    return _open(node.format, node.path, node.values, node.keep_soft).read(task.video)


def import_folder(folder: Path, task: Task, sources: Sequence[MaskSequence]) -> Sequence[MaskSequence]:
    """Return masks of a folder that was made from `sources`, in their order.

    Raises:
        InputError: masks are missing, damaged, or of another size than those they were made from.
    """
    found = {mask.expression: mask for mask in _open_masks(folder).read(task.video)}
    for source in sources:
        mask = found[source.expression]
        if mask.size != source.size:
            raise InputError(
                f"{folder / task.video.id / source.expression}: masks of {mask.size[0]} x {mask.size[1]} pixels, "
                f"{source.size[0]} x {source.size[1]} before propagation; propagate these masks again"
            )
    return [found[source.expression] for source in sources]


@lru_cache(maxsize=1)
def _open(format: ImportFormat, path: Path, values: DumpValues, keep_soft: bool) -> Source:
    """Return the opened source: once for each node and worker."""
    return open_source(format, path, values=values, soft=keep_soft)


@lru_cache(maxsize=1)
def _open_masks(folder: Path) -> Source:
    """Return a folder's masks without the key frames beside it: propagation keeps those that it started from."""
    return replace(open_png_folder(folder), key_frames={})
