"""MOSEv2, for propagation alone: objects of index maps, which have no sentences; each stands as one, by its index."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rvos.dataset import Dataset, SelectTruth
from rvos.errors import InputError
from rvos.evaluation.protocols.mosev2 import MoseEvaluator
from rvos.files.images import LARGEST_IMAGE_FILE
from rvos.files.json_files import expect_list, expect_object, parse_json
from rvos.files.trees import Tree, list_masks, open_data
from rvos.formats.archives.files import FileArchive
from rvos.formats.base import Format
from rvos.formats.reading.expressions import ListedVideo, find_images, has_expressions
from rvos.formats.reading.truth import IndexSource
from rvos.ids import check_id
from rvos.masks.index_maps import encode_index_map, read_index
from rvos.masks.mask_images import decode_index_map
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Expression, Video

META = "meta_{split}.json"
_SUFFIXES = (".jpg", ".jpeg", ".png")


def open_split(root: Path, split: str) -> Dataset:
    """Return a split of MOSEv2; truth is known where every frame has a map. Raises InputError: unusable files."""
    tree = open_data(root, known=frozenset({split, "JPEGImages", "Annotations"}))
    if has_expressions(tree, split):
        raise InputError(f"{tree.name}: there are sentences, and MOSEv2 has none; write the format that they are of")
    place = f"{split}/" if tree.is_folder(split) else ""
    maps = tree.below(f"{place}Annotations")
    names = maps.children()
    if not names:
        raise InputError(f"{maps.name}: no videos; give the folder that holds the splits of MOSEv2")
    objects = _read_objects(tree, f"{place}{META.format(split=split)}")
    listed = []
    for name in names:
        check_id(name, where=maps.name, what="video")
        own = list_masks(maps.below(name))
        frames = sorted(_list_frames(tree.below(f"{place}JPEGImages/{name}")) or own)
        ids = objects.get(name) or _find_objects(maps.below(name), own)
        sentences = tuple(Expression(one, f"object {one}", (one,)) for one in ids)
        listed.append(ListedVideo(name, tuple(frames), sentences))
    images, videos = find_images(root, tree, (f"{place}JPEGImages",), listed)
    is_known = all(frame in list_masks(maps.below(listed[0].id)) for frame in listed[0].frames)
    truth: SelectTruth | None = partial(IndexSource, maps) if is_known else None
    return Dataset("mosev2", root, split, videos, images, truth, is_by_object=True)


def _list_frames(folder: Tree) -> set[str]:
    return {Path(name).stem for name in folder.children() if Path(name).suffix.lower() in _SUFFIXES}


def _read_objects(tree: Tree, name: str) -> dict[str, list[str]]:
    """Return the objects of every video that the file of a split names; nothing without such a file."""
    if not tree.exists(name):
        return {}
    where = f"{tree.name}/{name}"
    content = expect_object(parse_json(tree.read(name), where=where), where=where)
    videos, found = expect_object(content.get("videos"), where=where), {}
    for video, entry in videos.items():
        own = f"{where}: {video}"
        listed = expect_list(expect_object(entry, where=own).get("objects"), where=f"{own}: objects")
        found[video] = [str(read_index(str(one), where=own)) for one in listed]
    return found


def _find_objects(folder: Tree, files: dict[str, str]) -> list[str]:
    """Return the objects of the first map of a video. Raises InputError: there is none."""
    if not files:
        raise InputError(f"{folder.name}: no map of the first frame; restore it")
    first = files[min(files)]
    values = decode_index_map(folder.read(first, most=LARGEST_IMAGE_FILE), where=f"{folder.name}/{first}")
    return [str(one) for one in np.unique(values).tolist() if one]


class VideoMapArchive(FileArchive):
    """`<video>/<frame>.png`, all objects in one palette map; where masks overlap the smaller index has the pixel."""

    def list_folders(self, video: Video) -> list[str]:
        """One."""
        return [video.id]

    def encode(self, video: Video, sequences: Sequence[MaskSequence]) -> Iterator[tuple[str, bytes]]:
        """Encode the maps."""
        indices = {one.expression: read_index(one.expression, where=video.id) for one in sequences}
        labels = np.zeros((video.n_frames, *sequences[0].size), np.uint8)
        for one in sorted(sequences, key=lambda one: -indices[one.expression]):
            labels[one.masks()] = indices[one.expression]
        for frame, values in zip(video.frames, labels, strict=True):
            yield f"{video.id}/{frame}.png", encode_index_map(values)

    def find_marked(self, video: Video, folder: str, values: NDArray[np.uint8]) -> Iterable[str]:
        """The objects that the map holds."""
        return {str(one) for one in np.unique(values).tolist()} & {one.id for one in video.expressions}

    def find_bad_values(self, values: NDArray[np.uint8], mode: str) -> str | None:
        """Palette indices, or the same in grey."""
        return None if mode in ("P", "L") else f"image mode {mode}, expected palette indices (P)"


FORMAT = Format(
    name="mosev2",
    title="MOSEv2",
    read=open_split,
    evaluator=MoseEvaluator,
    archive=VideoMapArchive(),
)
