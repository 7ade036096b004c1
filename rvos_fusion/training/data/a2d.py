"""A2D-Sentences as labelled videos: a window around every annotated frame, whose mask alone is known."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.evaluation.truth import SampleTruth
from rvos.formats import Dataset, open_dataset
from rvos.videos import Video
from rvos_fusion.training.data.videos import LabelledVideo, VideoFolder

_LARGEST_INSTANCE = 253


def open_a2d(folder: VideoFolder, *, window: int | None) -> list[LabelledVideo]:
    """Return a labelled video for every annotated frame of a split, sorted by name.

    Instance `i` is the object `i + 1` of the index mask, as instances are counted from 0 there and objects from 1.

    Args:
        window: frames of each; None: 5.

    Raises:
        InputError: files are missing or damaged, or an instance is no small number.
    """
    dataset = open_dataset("a2d-sentences", folder.root, folder.split, window=window)
    chosen = sorted(dataset.videos, key=lambda video: video.id)[: folder.videos]
    found = []
    for video in chosen:
        sentences = tuple(
            replace(one, object_ids=(str(_number(one.object_ids[0], video)),)) for one in video.expressions
        )
        labels = _Labels(dataset, video)
        shown = replace(video, expressions=sentences)
        found.append(LabelledVideo(shown, labels, in_memory=folder.in_memory, annotated=video.annotated_frame))
    return found


def _number(instance: str, video: Video) -> int:
    if int(instance) > _LARGEST_INSTANCE:
        raise InputError(f"{video.id}: instance {instance}, an index mask holds {_LARGEST_INSTANCE}; correct the list")
    return int(instance) + 1


@dataclass(frozen=True, slots=True)
class _Labels:
    """Index masks: of the annotated frame as its file has them, else empty; where instances overlap, the last wins."""

    dataset: Dataset
    video: Video

    def __call__(self, index: int) -> NDArray[np.uint8]:
        truth = cast(SampleTruth, self.dataset.read_truth(self.video))
        label = np.zeros(truth.size or self.video.read_size(), np.uint8)
        for instance, mask in truth.objects.items() if index == self.video.annotated_frame else ():
            label[mask] = _number(instance, self.video)
        return label
