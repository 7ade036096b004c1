"""Ref-DAVIS17: four expressions an object, one of each annotation file."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path

from rvos.dataset import Dataset, SelectTruth
from rvos.errors import InputError
from rvos.evaluation.protocols.davis import DavisEvaluator
from rvos.files.trees import Tree, open_data
from rvos.formats.archives.index_maps import IndexMapArchive
from rvos.formats.base import Format
from rvos.formats.reading.annotation_folders import (
    count_videos,
    find_annotations,
    find_truth,
    read_categories,
)
from rvos.formats.reading.davis_folders import find_sequences, list_sequences
from rvos.formats.reading.expressions import ListedVideo, find_expression_file, find_images, read_expressions
from rvos.formats.reading.object_folders import find_types
from rvos.formats.reading.truth import IndexSource
from rvos.masks.index_maps import N_ANNOTATORS, split_expression_id
from rvos.videos import Video

_VOID_FOLDERS = ("DAVIS/Annotations_unsupervised/480p", "Annotations_unsupervised/480p")
_IMAGE_FOLDERS = ("{split}/JPEGImages", "DAVIS/JPEGImages/480p", "JPEGImages/480p", "JPEGImages")
_OWN_FOLDERS = ("DAVIS", "Annotations_unsupervised", "davis_text_annotations")
_PARTS = frozenset({"DAVIS", "Annotations_unsupervised", "JPEGImages", "meta_expressions", "davis_text_annotations"})


def open_split(root: Path, split: str) -> Dataset:
    """Return a split of Ref-DAVIS17, converted or as distributed. Raises InputError: neither, or unusable files."""
    tree = open_data(root, known=_PARTS | {split})
    folders = [name.format(split=split) for name in _IMAGE_FOLDERS]
    images, videos = find_images(root, tree, folders, _read_listed(tree, split))
    return Dataset(
        "ref-davis17", root, split, videos, images, _find_truth(tree, split, videos), read_categories(tree, split)
    )


def _read_listed(tree: Tree, split: str) -> tuple[ListedVideo, ...]:
    try:
        name = find_expression_file(tree, split)
    except InputError:
        sequences = find_sequences(tree)
        if sequences is None:
            raise
        return list_sequences(tree, sequences, split)
    return tuple(_name_objects(video) for video in read_expressions(tree, name))


def _find_truth(tree: Tree, split: str, videos: tuple[Video, ...]) -> SelectTruth | None:
    """Return the unsupervised annotations, whose 255 is void, or the converted ones: what has more of the videos."""
    ids = frozenset(video.id for video in videos)
    annotations = find_annotations(tree, split, videos)
    converted = find_truth(annotations, videos)
    most = count_videos(annotations, ids) if annotations and converted else 0
    for place in _VOID_FOLDERS:
        if count_videos(tree.below(place), ids) >= max(most, 1):
            return partial(IndexSource, tree.below(place), has_void=True)
    if converted:
        return converted
    # A folder that holds nothing but sequences.
    sequences = find_sequences(tree)
    return None if sequences is None else partial(IndexSource, sequences, has_void=True)


def _name_objects(video: ListedVideo) -> ListedVideo:
    """Give expressions without `obj_id` the object of their id: indices are sorted as text."""
    if all(expression.object_ids for expression in video.expressions):
        return video
    positions = [split_expression_id(expression, where=video.id)[0] for expression in video.expressions]
    names = sorted(str(index) for index in range(1, max(positions, default=-1) + 2))
    expressions = [
        replace(expression, object_ids=expression.object_ids or (names[position],))
        for expression, position in zip(video.expressions, positions, strict=True)
    ]
    return replace(video, expressions=tuple(expressions))


def _find_other(dataset: Dataset) -> tuple[str, str] | None:
    """Return what the data are instead: here every object has four sentences, two by each of two annotators."""
    tree = open_data(dataset.root, known=_PARTS | {dataset.split})
    if any(tree.exists(name) for name in _OWN_FOLDERS):
        return None
    if typed := find_types(dataset):
        return typed
    for video in dataset.videos:
        for name, count in Counter(name for one in video.expressions for name in one.object_ids).items():
            if count != N_ANNOTATORS:
                mark = f"{video.id}: object {name} has {count} of the {N_ANNOTATORS} sentences of Ref-DAVIS17"
                return "ref-youtube-vos", f"meta_expressions.json: {mark}"
    return None


FORMAT = Format(
    name="ref-davis17",
    title="Ref-DAVIS17",
    read=open_split,
    evaluator=DavisEvaluator,
    archive=IndexMapArchive(),
    official={"valid": (30, 244)},
    marks=_OWN_FOLDERS,
    find_other=_find_other,
)
