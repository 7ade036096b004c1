"""Ref-YouTube-VOS and data of its form: index maps, or masks by expression, as a folder or an archive."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from rvos.datasets.dataset import Dataset, IndexReader, PerExpressionReader, TruthReader
from rvos.datasets.expressions import ListedVideo, find_expression_file, list_video_ids, read_expressions
from rvos.errors import InputError
from rvos.json_files import expect_object, parse_json
from rvos.trees import FolderTree, Tree, ZipTree, open_data
from rvos.videos import Video

_SEARCH_DEPTH = 3
_NO_ANNOTATIONS = frozenset({"JPEGImages", "meta_expressions"})


def open_split(root: Path, split: str) -> Dataset:
    """Return a split in the Ref-YouTube-VOS form.

    The published valid file lists the test videos too: they are left out where the test file is there.

    Raises:
        InputError: no expression file, or one that cannot be used.
    """
    tree = open_data(root)
    listed = _read_listed(tree, split)
    images = root / split / "JPEGImages"
    videos = tuple(video.with_images(images) for video in listed)
    return Dataset(
        "ref-youtube-vos",
        root,
        split,
        videos,
        images if images.is_dir() else None,
        find_truth(tree, split, videos),
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


def find_truth(tree: Tree, split: str, videos: tuple[Video, ...]) -> TruthReader | None:
    """Return the ground truth of a split, or None: no annotations, or nothing that ties them to expressions."""
    annotations = find_annotations(tree, split, videos)
    if annotations is None:
        return None
    video = next(video for video in videos if annotations.is_folder(video.id))
    if any(annotations.is_folder(f"{video.id}/{expression.id}") for expression in video.expressions):
        return PerExpressionReader(annotations)
    tied = any(expression.object_ids for video in videos for expression in video.expressions)
    return IndexReader(annotations) if tied else None


def find_annotations(tree: Tree, split: str, videos: tuple[Video, ...]) -> Tree | None:
    """Return the folder, in a folder or an archive, that holds a folder for a video; None without one."""
    ids = frozenset(video.id for video in videos)
    for place in (f"{split}/Annotations", "Annotations", f"{split}/annotations", "annotations"):
        if tree.is_folder(place):
            return _search(tree.below(place), ids, _SEARCH_DEPTH - 1)
        if isinstance(tree, FolderTree) and tree.exists(f"{place}.zip"):
            return _search(ZipTree(tree.root / f"{place}.zip"), ids, _SEARCH_DEPTH)
    return _search(tree, ids, _SEARCH_DEPTH) if isinstance(tree, ZipTree) or _has_videos(tree, ids) else None


def _search(tree: Tree, ids: frozenset[str], depth: int) -> Tree | None:
    if _has_videos(tree, ids):
        return tree
    if depth == 0:
        return None
    below = (tree.below(name) for name in tree.children() if name not in _NO_ANNOTATIONS and tree.is_folder(name))
    return next((found for found in (_search(child, ids, depth - 1) for child in below) if found), None)


def _has_videos(tree: Tree, ids: frozenset[str]) -> bool:
    return any(name in ids and tree.is_folder(name) for name in tree.children())


def read_categories(tree: Tree, split: str) -> Mapping[tuple[str, str], str]:
    """Return (video, object) -> category from `<split>/meta.json`, empty without that file.

    Raises:
        InputError: the file is not of the YouTube-VOS form.
    """
    name = f"{split}/meta.json"
    if not tree.exists(name):
        return {}
    where = f"{tree.name}/{name}"
    content = expect_object(parse_json(tree.read(name), where=where), where=where)
    categories: dict[tuple[str, str], str] = {}
    for video, value in expect_object(content.get("videos"), where=f"{where}: videos").items():
        objects = expect_object(
            expect_object(value, where=f"{where}: {video}").get("objects"), where=f"{where}: {video}"
        )
        for object_id, entry in objects.items():
            category = expect_object(entry, where=f"{where}: {video}/{object_id}").get("category")
            if not isinstance(category, str):
                raise InputError(f"{where}: {video}/{object_id}: no category; add it")
            categories[video, object_id] = category
    return categories
