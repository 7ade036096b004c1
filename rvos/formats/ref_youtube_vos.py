"""Ref-YouTube-VOS and data of its form: index maps, or masks by expression, as a folder or an archive."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from rvos.dataset import Dataset
from rvos.errors import InputError
from rvos.evaluation.expressions import ExpressionEvaluator
from rvos.files.trees import Tree, open_data
from rvos.formats.archives.files import MaskArchive
from rvos.formats.base import Format
from rvos.formats.reading.annotation_folders import (
    NO_ANNOTATIONS,
    find_annotations,
    find_truth,
    read_categories,
)
from rvos.formats.reading.expressions import (
    ListedVideo,
    find_expression_file,
    find_images,
    list_video_ids,
    read_expressions,
)
from rvos.formats.reading.object_folders import find_types
from rvos.formats.reading.truth import IndexSource
from rvos.masks.index_maps import N_ANNOTATORS

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
    truth, categories = find_truth(find_annotations(tree, split, videos), videos), read_categories(tree, split)
    is_by_object = isinstance(truth, partial) and truth.func is IndexSource
    return Dataset("ref-youtube-vos", root, split, videos, images, truth, categories, is_by_object)


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


def _find_doubt(dataset: Dataset) -> str | None:
    """Return that the sentences are numbered as those of Ref-DAVIS17: four for every object, one after the other."""
    sentences = [(video, one) for video in dataset.videos for one in video.expressions]
    if not sentences or not all(one.id.isdecimal() and one.object_ids for _, one in sentences):
        return None
    objects: dict[tuple[str, int], list[tuple[str, ...]]] = {}
    for video, one in sentences:
        objects.setdefault((video.id, int(one.id) // N_ANNOTATORS), []).append(one.object_ids)
    if any(len(own) != N_ANNOTATORS or len(set(own)) > 1 for own in objects.values()):
        return None
    return f"every object has {N_ANNOTATORS} sentences, as in ref-davis17"


FORMAT = Format(
    name="ref-youtube-vos",
    title="Ref-YouTube-VOS",
    read=open_split,
    evaluator=ExpressionEvaluator,
    archive=MaskArchive(top="Annotations/"),
    official={"train": (3471, 12913), "valid": (202, 834), "test": (305, 1262)},
    with_test=507,
    shared_marks=("meta_expressions",),
    find_other=find_types,
    find_doubt=_find_doubt,
)
