"""Data sets with sentences as labelled videos: whatever their ground truth is becomes index masks."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.evaluation.truth import IndexTruth
from rvos.formats import Dataset, find_format, open_dataset
from rvos.formats.reading.truth import IndexSource
from rvos.settings import count
from rvos.videos import Expression, Video
from rvos_fusion.training.data.videos import LabelledVideo, VideoFolder

_MOST_OBJECTS = 254


def open_labelled(folder: VideoFolder, *, window: int | None = None) -> list[LabelledVideo]:
    """Return a split's labelled videos by name, `window` frames around a single annotated one (None: as usual).

    Objects keep the numbers of index maps; elsewhere they become 1, 2, ... of their video, in the order of their ids.

    Raises:
        InputError: files are missing or damaged, there are no videos, or one has more objects than fit.
    """
    form = find_format(folder.layout)
    dataset = open_dataset(folder.layout, folder.root, folder.split, window=window if form.has_samples else None)
    chosen = sorted(dataset.videos, key=lambda video: video.id)[: folder.videos]
    if not chosen:
        raise InputError(f"{folder.root}: split {folder.split} has no videos; check the folder")
    categories: dict[str, dict[str, str]] = {}
    for (video, name), category in dataset.categories.items():
        categories.setdefault(video, {})[name] = category
    return [_open(dataset, video, categories.get(video.id, {}), in_memory=folder.in_memory) for video in chosen]


def _open(dataset: Dataset, video: Video, categories: dict[str, str], *, in_memory: bool) -> LabelledVideo:
    listed = {name for expression in video.expressions for name in expression.object_ids}
    names = sorted(listed | set(categories), key=lambda name: (len(name), name))
    if len(names) > _MOST_OBJECTS:
        raise InputError(
            f"{video.id}: {count(len(names), 'object')}, an index mask holds {_MOST_OBJECTS}; drop the video"
        )
    has_numbers = isinstance(dataset.select_truth(video), IndexSource)
    numbers = {name: name if has_numbers else str(place) for place, name in enumerate(names, start=1)}
    sentences = tuple(
        replace(one, object_ids=tuple(numbers[name] for name in one.object_ids)) for one in video.expressions
    )
    return LabelledVideo(
        replace(video, expressions=sentences),
        _Labels(dataset, video, tuple(names)),
        categories={numbers[name]: category for name, category in categories.items()},
        kinds={one.id: one.kind for one in video.expressions},
        in_memory=in_memory,
        annotated=None if video.annotated is None else video.annotated_frame,
    )


@dataclass(frozen=True, slots=True)
class _Labels:
    """Index masks: as they are stored, or painted object by object, where the later one wins."""

    dataset: Dataset
    video: Video
    names: tuple[str, ...]

    def __call__(self, index: int) -> NDArray[np.uint8]:
        asked = tuple(Expression(name, name, (name,)) for name in self.names)
        truth = self.dataset.read_truth(replace(self.video, expressions=asked), indices=[index])
        if isinstance(truth, IndexTruth):
            return truth.maps[0]
        label = np.zeros(truth.size or self.video.read_size(), np.uint8)
        for number, one in enumerate(asked, start=1):
            label[truth.masks(one)[0]] = number
        return label
