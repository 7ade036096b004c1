"""Validation of propagation: a true key-frame mask in, J&F of the other frames' masks out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos.evaluation import j_and_f
from rvos.settings import Count
from rvos_fusion.training.data.layouts import open_videos
from rvos_fusion.training.data.videos import LabelledVideo, VideoFolder, objects_seen
from rvos_fusion.training.logs.pictures import MaskPictures

Step = Callable[[int], NDArray[np.bool_]]
"""Takes the index of the next frame in the direction of travel and returns the object's mask in it, `(H, W)`."""
Start = Callable[[int, NDArray[np.bool_]], Step]
"""Takes the index of a frame and an object's mask in it."""
Read = Callable[[NDArray[np.uint8]], Start]
"""Takes a video's frames, RGB `(T, H, W, 3)`: what a network has to offer."""


@dataclass(frozen=True, slots=True)
class PropagationValidation:
    """Labelled videos to propagate on, at most so many objects of each; None: all."""

    folder: VideoFolder
    objects: Count | None = None


def propagation_scores(
    read: Read, settings: PropagationValidation, *, pictures: MaskPictures | None = None
) -> Mapping[str, float]:
    """Return J, F and J&F (0 to 100) over objects of masks propagated from each object's largest mask.

    Every object travels alone, both ways from its key frame, which does not count; pictures are of the farthest frame.
    """
    scores = []
    for video in open_videos(settings.folder):
        if video.n_frames > 1:
            scores += _score_video(read, video, settings.objects, pictures or MaskPictures(most=0))
    region, contour = np.mean(scores, axis=0)
    return {"J": 100 * float(region), "F": 100 * float(contour), "J&F": 50 * float(region + contour)}


def _score_video(
    read: Read, video: LabelledVideo, most_objects: int | None, pictures: MaskPictures
) -> list[tuple[float, float]]:
    labels = video.labels(range(video.n_frames))
    start = read(video.frames(range(video.n_frames)))
    scores = []
    for name in objects_seen(labels)[:most_objects]:
        truth = labels == name
        key = int(truth.sum((1, 2)).argmax())
        predicted = propagate_both_ways(start, truth[key], key, n_frames=len(labels))
        others = np.arange(video.n_frames) != key
        region, contour = j_and_f(truth[others], predicted[others])
        scores.append((float(region.mean()), float(contour.mean())))
        if len(scores) == 1 and not pictures.is_full:
            far = 0 if key >= len(labels) / 2 else len(labels) - 1
            frame = video.frames([far])[0]
            pictures.add(f"{video.video.id}/object {name}, frame {far}", frame, predicted[far], truth[far])
    return scores


def propagate_both_ways(start: Start, mask: NDArray[np.bool_], key: int, *, n_frames: int) -> NDArray[np.bool_]:
    """Return the masks `(T, H, W)` of one object, carried from frame `key` to both ends; `mask` stays as it is."""
    masks = np.zeros((n_frames, *mask.shape), dtype=bool)
    masks[key] = mask
    for order in (range(key + 1, n_frames), range(key - 1, -1, -1)):
        step = start(key, mask)
        for index in order:
            masks[index] = step(index)
    return masks
