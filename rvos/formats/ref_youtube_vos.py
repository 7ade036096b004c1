"""Ref-YouTube-VOS and data of its form: index maps, or masks by expression, as a folder or an archive."""

from __future__ import annotations

from pathlib import Path

from rvos.dataset import Dataset
from rvos.errors import InputError
from rvos.evaluation.expressions import ExpressionEvaluator
from rvos.files.trees import Tree, open_data
from rvos.formats.annotation_folders import (
    NO_ANNOTATIONS,
    find_annotations,
    find_mask_dict,
    find_truth,
    read_categories,
)
from rvos.formats.archives.files import MaskArchive
from rvos.formats.base import Format
from rvos.formats.expressions import (
    ListedVideo,
    find_expression_file,
    find_images,
    list_video_ids,
    read_expressions,
)

_PARTS = NO_ANNOTATIONS | {"Annotations", "annotations"}


def open_split(root: Path, split: str) -> Dataset:
    """Return a split in the Ref-YouTube-VOS form.

    The published valid file lists the test videos too: they are left out where the test file is there.

    Raises:
        InputError: no expression file, or one that cannot be used.
    """
    tree = open_data(root, known=_PARTS | {split})
    folders = (f"{split}/JPEGImages", f"JPEGImages/{split}", "JPEGImages")
    images, videos = find_images(root, tree, folders, _read_listed(tree, split))
    return Dataset(
        "ref-youtube-vos",
        root,
        split,
        videos,
        images,
        find_truth(find_annotations(tree, split, videos), videos),
        read_categories(tree, split),
    )


def _read_listed(tree: Tree, split: str) -> tuple[ListedVideo, ...]:
    listed = read_expressions(tree, find_expression_file(tree, split))
    test = "meta_expressions/test/meta_expressions.json"
    if split != "valid" or not tree.exists(test):
        return listed
    others = list_video_ids(tree, test)
    remaining = tuple(video for video in listed if video.id not in others)
    if not remaining:
        raise InputError(f"{tree.name}: valid lists only videos of test; restore the valid expression file")
    return remaining


def _find_other(dataset: Dataset) -> tuple[str, str] | None:
    """Return what the data are instead, where files say so."""
    if (dataset.root / "DAVIS").is_dir():
        return "ref-davis17", "it has a folder DAVIS"
    return find_mask_dict(dataset)


FORMAT = Format(
    name="ref-youtube-vos",
    title="Ref-YouTube-VOS",
    read=open_split,
    evaluator=ExpressionEvaluator,
    archive=MaskArchive(top="Annotations/"),
    official={"train": (3471, 12913), "valid": (202, 834), "test": (305, 1262)},
    with_test=507,
    find_other=_find_other,
)
