"""MeViS: expressions about several objects, masks as COCO run lengths in `mask_dict.json`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from rvos.dataset import Dataset
from rvos.errors import InputError
from rvos.evaluation.expressions import TargetEvaluator
from rvos.files.json_files import expect_list, expect_object, parse_json
from rvos.files.trees import Tree, open_data
from rvos.formats.annotation_folders import find_annotations, read_categories
from rvos.formats.archives.files import MaskArchive
from rvos.formats.base import Format, Licence
from rvos.formats.expressions import (
    find_expression_file,
    find_images,
    read_annotation_ids,
    read_expressions,
)
from rvos.formats.truth import RunLengthTruth
from rvos.masks.run_lengths import read_run_size
from rvos.settings import count
from rvos.videos import Video

_LARGEST_MASK_DICT = 1 << 32
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


class MaskDictReader:
    """All run lengths of a split: read once, at the first use, since the file of train is large."""

    def __init__(self, tree: Tree, name: str, has_images: bool) -> None:
        self._tree = tree
        self._name = name
        self._has_images = has_images

    @cached_property
    def _annotations(self) -> dict[str, Any]:
        where = f"{self._tree.name}/{self._name}"
        return expect_object(parse_json(self._tree.read(self._name, most=_LARGEST_MASK_DICT), where=where), where=where)

    def __call__(self, video: Video) -> MaskDictSource:
        """The run lengths of one video. Raises InputError: an annotation has another number of frames."""
        where = f"{self._tree.name}/{self._name}: {video.id}"
        wanted = {name for expression in video.expressions for name in expression.object_ids}
        chosen = {name: self._annotations[name] for name in sorted(wanted) if name in self._annotations}
        for name, frames in chosen.items():
            if len(expect_list(frames, where=f"{where}: {name}")) != video.n_frames:
                raise InputError(
                    f"{where}: annotation {name} has {count(len(frames), 'frame')}, expected {video.n_frames}"
                )
        return MaskDictSource(chosen, video, where, self._has_images)


@dataclass(frozen=True, slots=True, eq=False)
class MaskDictSource:
    """Run lengths of the annotations of one video, one or None a frame."""

    annotations: Mapping[str, Sequence[Any]]
    video: Video
    where: str
    has_images: bool

    def read(self, indices: Sequence[int] | None = None) -> RunLengthTruth:
        """Choose frames; masks are decoded expression by expression."""
        chosen = range(self.video.n_frames) if indices is None else indices
        annotations = {name: [frames[index] for index in chosen] for name, frames in self.annotations.items()}
        return RunLengthTruth(annotations, len(chosen), self._find_size(), self.where)

    def _find_size(self) -> tuple[int, int] | None:
        for frames in self.annotations.values():
            for rle in frames:
                if rle is not None:
                    return read_run_size(rle, where=self.where)
        return self.video.read_size() if self.has_images else None


def _find_other(dataset: Dataset) -> tuple[str, str] | None:
    """Return what the data are instead: MeViS has no index maps, and says by `anno_id` what a sentence means."""
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
