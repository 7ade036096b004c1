"""Long-RVOS: videos of a minute, one folder of masks for each object, static, dynamic and hybrid sentences."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from rvos.dataset import Dataset, SelectTruth
from rvos.errors import InputError
from rvos.evaluation.protocols.long_rvos import KINDS, LongEvaluator
from rvos.files.trees import open_data
from rvos.formats.archives.files import MaskArchive
from rvos.formats.base import Format
from rvos.formats.reading.expressions import ListedVideo, find_images, read_expressions, read_object_id
from rvos.formats.reading.object_folders import ObjectFolders

_ALSO = {"static+dynamic": "hybrid"}


def open_split(root: Path, split: str) -> Dataset:
    """Return a split of Long-RVOS. Raises InputError: files are missing or cannot be used."""
    tree = open_data(root, known=frozenset({split, "JPEGImages", "Annotations"}))
    place = "" if not tree.is_folder(split) and tree.exists("meta_expressions.json") else f"{split}/"
    name = f"{place}meta_expressions.json"
    if not tree.exists(name):
        raise InputError(f"{tree.name}: no {name}; give the folder that holds the splits of Long-RVOS")
    listed = [_sort_frames(one) for one in read_expressions(tree, name, object_ids=_read_object, kind=_read_kind)]
    images, videos = find_images(root, tree, (f"{place}JPEGImages",), listed)
    truth: SelectTruth | None = None
    if tree.is_folder(f"{place}Annotations"):
        annotations, has_images = tree.below(f"{place}Annotations"), images is not None
        truth = partial(ObjectFolders, annotations, place="{video}/{object}", has_images=has_images)
    return Dataset("long-rvos", root, split, videos, images, truth, is_by_object=True)


def _sort_frames(video: ListedVideo) -> ListedVideo:
    """The official readers sort the frames of a video, whichever way the file lists them."""
    return replace(video, frames=tuple(sorted(video.frames)))


def _read_object(entry: Mapping[str, Any], where: str) -> tuple[str, ...]:
    found = read_object_id(entry, where)
    if len(found) != 1 or not found[0].isdecimal():
        raise InputError(f"{where}: obj_id {ascii(entry.get('obj_id'))[:40]}, expected one whole number; correct it")
    return found


def _read_kind(entry: Mapping[str, Any], where: str) -> str:
    given = entry.get("type")
    kind = _ALSO.get(str(given), given)
    if kind not in KINDS:
        raise InputError(f"{where}: type {ascii(given)[:40]}, expected {', '.join((*KINDS, *_ALSO))}; correct it")
    return str(kind)


FORMAT = Format(
    name="long-rvos",
    title="Long-RVOS",
    read=open_split,
    evaluator=LongEvaluator,
    archive=MaskArchive(top="Annotations/"),
)
