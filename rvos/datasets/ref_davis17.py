"""Ref-DAVIS17: four expressions an object, one of each annotation file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rvos.datasets.dataset import Dataset, IndexReader, TruthReader
from rvos.datasets.davis_folders import find_sequences, list_sequences
from rvos.datasets.expressions import ListedVideo, find_expression_file, read_expressions
from rvos.datasets.ref_youtube_vos import find_truth, read_categories
from rvos.errors import InputError
from rvos.trees import Tree, open_data
from rvos.videos import Expression, Video

N_ANNOTATORS = 4
_VOID_FOLDERS = ("DAVIS/Annotations_unsupervised/480p", "Annotations_unsupervised/480p")
_IMAGE_FOLDERS = ("{split}/JPEGImages", "DAVIS/JPEGImages/480p", "JPEGImages/480p")


def open_split(root: Path, split: str) -> Dataset:
    """Return a split of Ref-DAVIS17: the converted form, or DAVIS as it is distributed, with its text files or not.

    Raises:
        InputError: neither form is there, or files that cannot be used.
    """
    tree = open_data(root)
    listed = _read_listed(tree, split)
    folders = [root / place.format(split=split) for place in _IMAGE_FOLDERS]
    images = next((folder for folder in folders if folder.is_dir()), None)
    videos = tuple(video.with_images(images or folders[0]) for video in listed)
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


def _find_truth(tree: Tree, split: str, videos: tuple[Video, ...]) -> TruthReader | None:
    """Return the unsupervised annotations, whose 255 is void, or else the converted ones."""
    for place in _VOID_FOLDERS:
        if tree.is_folder(place):
            return IndexReader(tree.below(place), has_void=True)
    return find_truth(tree, split, videos) or _find_plain_folders(tree)


def _find_plain_folders(tree: Tree) -> TruthReader | None:
    """Return the index maps of a folder that holds nothing but sequences."""
    sequences = find_sequences(tree)
    return None if sequences is None else IndexReader(sequences, has_void=True)


def split_expression_id(expression: Expression, *, where: str) -> tuple[int, int]:
    """Return (object position, annotation file) of an expression, from `id = 4 * object + file`.

    Raises:
        InputError: the id is no whole number.
    """
    if not expression.id.isdecimal():
        raise InputError(f"{where}/{expression.id}: expression ids of Ref-DAVIS17 are 4 x object + file; correct it")
    return divmod(int(expression.id), N_ANNOTATORS)


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
