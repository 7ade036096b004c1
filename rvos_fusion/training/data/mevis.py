"""MeViS as labelled videos: sentences about several objects, whose annotations become index masks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvos.dataset import Dataset
from rvos.errors import InputError
from rvos.files.json_files import expect_object, read_json
from rvos.formats import open_dataset
from rvos.videos import Expression, Video
from rvos_fusion.training.data.videos import LabelledVideo, VideoFolder

_MOST_OBJECTS = 254


def open_mevis(folder: VideoFolder) -> list[LabelledVideo]:
    """Return the labelled videos of a split of MeViS, sorted by name.

    Its annotations become objects 1, 2, ... of their video, in the order of their ids. Categories are those of
    `SPLIT/meta.json`, `{"videos": {VIDEO: {"objects": {ANNOTATION: {"category": ...}}}}}`, if there is one.

    Raises:
        InputError: files are missing or damaged, there are no videos, or one has more objects than fit.
    """
    dataset = open_dataset("mevis", folder.root, folder.split)
    listing = folder.root / folder.split / "meta.json"
    meta: Mapping[str, Any] = {}
    if listing.is_file():
        meta = expect_object(expect_object(read_json(listing), where=str(listing)).get("videos"), where=str(listing))
    chosen = sorted(dataset.videos, key=lambda video: video.id)[: folder.videos]
    if not chosen:
        raise InputError(f"{folder.root}: split {folder.split} has no videos; check the folder")
    return [_open(dataset, video, meta.get(video.id, {}), in_memory=folder.in_memory) for video in chosen]


def _open(dataset: Dataset, video: Video, meta: Any, *, in_memory: bool) -> LabelledVideo:
    listed = {name for expression in video.expressions for name in expression.object_ids}
    objects = meta.get("objects", {}) if isinstance(meta, dict) else {}
    names = sorted(listed | set(objects), key=lambda name: (len(name), name))
    if len(names) > _MOST_OBJECTS:
        raise InputError(f"{video.id}: {len(names)} objects, an index mask holds {_MOST_OBJECTS}; drop the video")
    numbers = {name: str(index) for index, name in enumerate(names, start=1)}
    sentences = tuple(
        replace(one, object_ids=tuple(numbers[name] for name in one.object_ids)) for one in video.expressions
    )
    categories = {
        numbers[name]: str(entry["category"])
        for name, entry in objects.items()
        if isinstance(entry, dict) and "category" in entry
    }
    labels = _Labels(dataset, video, tuple(names))
    return LabelledVideo(replace(video, expressions=sentences), labels, categories=categories, in_memory=in_memory)


@dataclass(frozen=True, slots=True)
class _Labels:
    """Index masks painted from run lengths; where objects overlap, the later one wins."""

    dataset: Dataset
    video: Video
    names: tuple[str, ...]

    def __call__(self, index: int) -> NDArray[np.uint8]:
        asked = tuple(Expression(name, name, (name,)) for name in self.names)
        truth = self.dataset.read_truth(replace(self.video, expressions=asked), indices=[index])
        label = np.zeros(truth.size or self.video.read_size(), np.uint8)
        for number, one in enumerate(asked, start=1):
            label[truth.masks(one)[0]] = number
        return label
