"""MeViS: expressions about several objects, masks as COCO run lengths in `mask_dict.json`."""

from __future__ import annotations

from pathlib import Path

from rvos.dataset import Dataset
from rvos.evaluation.expressions import TargetEvaluator
from rvos.files.trees import open_data
from rvos.formats.archives.files import MaskArchive
from rvos.formats.base import Format, Licence
from rvos.formats.reading.annotation_folders import find_annotations, read_categories
from rvos.formats.reading.expressions import (
    find_expression_file,
    find_images,
    read_annotation_ids,
    read_expressions,
)
from rvos.formats.reading.mask_dict import MaskDictReader
from rvos.formats.reading.object_folders import find_types

_PARTS = frozenset({"JPEGImages", "meta_expressions", "Annotations"})
_PLACES = ("{split}/mask_dict.json", "mask_dict_{split}.json", "mask_dict.json")


def open_split(root: Path, split: str) -> Dataset:
    """Return a split of MeViS below `root`, or the split itself. Raises InputError: no usable expression file."""
    tree = open_data(root, known=_PARTS | {split})
    listed = read_expressions(tree, find_expression_file(tree, split), object_ids=read_annotation_ids)
    folders = (f"{split}/JPEGImages", f"JPEGImages/{split}", "JPEGImages")
    images, videos = find_images(root, tree, folders, listed)
    places = [place.format(split=split) for place in _PLACES]
    name = next((place for place in places if tree.exists(place)), None)
    truth = None if name is None else MaskDictReader(tree, name, images is not None)
    return Dataset("mevis", root, split, videos, images, truth, read_categories(tree, split), is_by_object=True)


def _find_other(dataset: Dataset) -> tuple[str, str] | None:
    """Return what the data are instead: MeViS has no index maps, and says by `anno_id` what a sentence means."""
    if typed := find_types(dataset):
        return typed
    tied = any(one.object_ids or not one.has_target for video in dataset.videos for one in video.expressions)
    tree = open_data(dataset.root, known=_PARTS | {dataset.split})
    if tied or dataset.truth is not None or find_annotations(tree, dataset.split, dataset.videos) is None:
        return None
    return "ref-youtube-vos", "index maps, and no sentence with anno_id"


FORMAT = Format(
    name="mevis",
    title="MeViS",
    read=open_split,
    evaluator=TargetEvaluator,
    archive=MaskArchive(),
    default_split="valid_u",
    official={"train": (1662, 23051), "valid_u": (50, 793), "valid": (140, 2236)},
    licence=Licence("non-commercial", "MeViS, its authors"),
    overlapping=True,
    marks=_PLACES,
    find_other=_find_other,
)
