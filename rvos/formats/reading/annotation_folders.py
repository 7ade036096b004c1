"""Where the annotations of a split lie: folders of videos, in a folder or an archive, and the categories of objects."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial

from rvos.dataset import SelectTruth
from rvos.files.json_files import expect_object, parse_json
from rvos.files.trees import FolderTree, Tree, ZipTree
from rvos.formats.reading.truth import IndexSource, PerExpressionTruth
from rvos.videos import Video

NO_ANNOTATIONS = frozenset({"JPEGImages", "meta_expressions"})
_SEARCH_DEPTH = 3


def find_truth(annotations: Tree | None, videos: tuple[Video, ...]) -> SelectTruth | None:
    """Return the ground truth in the folder of `find_annotations`; None where nothing ties it to expressions."""
    if annotations is None:
        return None
    video = next(video for video in videos if annotations.children(video.id))
    if any(annotations.is_folder(f"{video.id}/{expression.id}") for expression in video.expressions):
        return partial(PerExpressionTruth, annotations)
    tied = any(expression.object_ids for video in videos for expression in video.expressions)
    return partial(IndexSource, annotations) if tied else None


def find_annotations(tree: Tree, split: str, videos: tuple[Video, ...]) -> Tree | None:
    """Return the folder, in a folder or an archive, that holds the most videos; None without one."""
    ids = frozenset(video.id for video in videos)
    best: Tree | None = None
    most = 0
    for found in _find_places(tree, split, ids):
        n_found = count_videos(found, ids)
        if n_found > most:
            best, most = found, n_found
        if most == len(ids):
            break
    return best


def _find_places(tree: Tree, split: str, ids: frozenset[str]) -> Iterator[Tree]:
    """Yield folders that hold folders of videos, the usual places first."""
    for place in (f"{split}/Annotations", f"Annotations/{split}", "Annotations", f"{split}/annotations", "annotations"):
        if tree.is_folder(place):
            yield from _search(tree.below(place), ids, _SEARCH_DEPTH - 1)
        if isinstance(tree, FolderTree) and tree.exists(f"{place}.zip"):
            yield from _search(ZipTree(tree.root / f"{place}.zip"), ids, _SEARCH_DEPTH)
    yield from _search(tree, ids, _SEARCH_DEPTH if isinstance(tree, ZipTree) else 0)


def _search(tree: Tree, ids: frozenset[str], depth: int) -> Iterator[Tree]:
    if count_videos(tree, ids):
        yield tree
    elif depth:
        for name in tree.children():
            if name not in NO_ANNOTATIONS and tree.is_folder(name):
                yield from _search(tree.below(name), ids, depth - 1)


def count_videos(tree: Tree, ids: frozenset[str]) -> int:
    """Return how many of the videos have a folder with something in it."""
    return sum(1 for name in tree.children() if name in ids and tree.children(name))


def read_categories(tree: Tree, split: str) -> Mapping[tuple[str, str], str]:
    """Return (video, object) -> category of `<split>/meta.json`, if there. Raises InputError: of another form."""
    name = f"{split}/meta.json"
    if not tree.exists(name):
        return {}
    where = f"{tree.name}/{name}"
    content = expect_object(parse_json(tree.read(name), where=where), where=where)
    categories: dict[tuple[str, str], str] = {}
    for video, value in _read_optional(content, "videos", where).items():
        objects = _read_optional(expect_object(value, where=f"{where}: {video}"), "objects", f"{where}: {video}")
        for object_id, entry in objects.items():
            category = expect_object(entry, where=f"{where}: {video}/{object_id}").get("category")
            if isinstance(category, str):
                categories[video, object_id] = category
    return categories


def _read_optional(entry: Mapping[str, object], key: str, where: str) -> Mapping[str, object]:
    value = entry.get(key)
    return {} if value is None else expect_object(value, where=f"{where}: {key}")
