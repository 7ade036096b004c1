"""Validation of propagation: a true key-frame mask in, J&F of the other frames' masks out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from deaot_toolkit import Engine, FrameFeatures, VosNetwork, network_size, prepare_image, resize_labels, upsample_logits
from numpy.typing import NDArray

from rvos.evaluation import j_and_f
from rvos.settings import Count
from rvos_fusion.training.data.layouts import open_videos
from rvos_fusion.training.data.videos import LabelledVideo, VideoFolder, objects_seen
from rvos_fusion.training.logs.pictures import MaskPictures


@dataclass(frozen=True, slots=True)
class PropagationValidation:
    """Labelled videos to propagate on, at most so many objects of each; None: all."""

    folder: VideoFolder
    objects: Count | None = None


def propagation_scores(
    network: VosNetwork, settings: PropagationValidation, *, pictures: MaskPictures | None = None
) -> Mapping[str, float]:
    """Return J, F and J&F (0 to 100) over objects of masks propagated from each object's largest mask.

    Every object travels alone, both ways from its key frame, which does not count; pictures are of the farthest frame.
    """
    scores = []
    for video in open_videos(settings.folder):
        if video.n_frames > 1:
            scores += _score_video(network, video, settings.objects, pictures or MaskPictures(most=0))
    region, contour = np.mean(scores, axis=0)
    return {"J": 100 * float(region), "F": 100 * float(contour), "J&F": 50 * float(region + contour)}


def _score_video(
    network: VosNetwork, video: LabelledVideo, most_objects: int | None, pictures: MaskPictures
) -> list[tuple[float, float]]:
    labels = video.labels(range(video.n_frames))
    frames = torch.from_numpy(video.frames(range(video.n_frames))).to(next(network.parameters()).device)
    size = network_size((frames.shape[1], frames.shape[2]), align_corners=network.config.align_corners)
    features = [network.encode(prepare_image(frame, size)) for frame in frames]
    scores = []
    for name in objects_seen(labels)[:most_objects]:
        truth = labels == name
        key = int(truth.sum((1, 2)).argmax())
        predicted = propagate_both_ways(network, features, truth[key], key)
        others = np.arange(video.n_frames) != key
        region, contour = j_and_f(truth[others], predicted[others])
        scores.append((float(region.mean()), float(contour.mean())))
        if len(scores) == 1 and not pictures.is_full:
            far = 0 if key >= len(labels) / 2 else len(labels) - 1
            frame = video.frames([far])[0]
            pictures.add(f"{video.video.id}/object {name}, frame {far}", frame, predicted[far], truth[far])
    return scores


def propagate_both_ways(
    network: VosNetwork, features: list[FrameFeatures], mask: NDArray[np.bool_], key: int
) -> NDArray[np.bool_]:
    """Return the masks `(T, H, W)` of one object, carried from frame `key` to both ends; `mask` stays as it is."""
    device = next(network.parameters()).device
    label = torch.from_numpy(mask.astype(np.int64))[None].to(device)
    masks = np.zeros((len(features), *mask.shape), dtype=bool)
    masks[key] = mask
    for order in (range(key + 1, len(features)), range(key - 1, -1, -1)):
        engine = Engine(network)
        engine.reference(features[key], resize_labels(label, features[key].size))
        for index in order:
            logits = engine.propagate(features[index])
            size = (mask.shape[0], mask.shape[1])
            decided = upsample_logits(logits, size, align_corners=network.config.align_corners).argmax(1)
            engine.remember(resize_labels(decided, features[index].size))
            masks[index] = decided[0].cpu().numpy() == 1
    return masks
