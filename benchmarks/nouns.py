"""How well a detector finds the objects of a noun: `python -m benchmarks.nouns CHECKPOINT --data FOLDER`.

The videos are MeViS-shaped with a `meta.json` of categories, as `rvos synthesize --format mevis` writes them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from runners.detectors.base import Detector
from runners.detectors.settings import UninextDetectorSettings
from runners.detectors.table import build_detector
from rvos.masks.mask_sequences import decode
from rvos_fusion.synthetic.language.sentences import GENERAL_NOUNS, NOUNS
from rvos_fusion.training.data.layouts import open_videos
from rvos_fusion.training.data.videos import LabelledVideo, VideoFolder, objects_seen

_IOU = 0.5
_LEAST = 24
"""Pixels from which on an object counts as seen."""


@dataclass(frozen=True, slots=True)
class NounCounts:
    """Counts over frames and nouns.

    Args:
        objects: that were to be found.
        found: of these, by a detection of mask IoU 0.5 or more, at most one each.
        detections: above the score.
        false: of these, of a noun of which the frame shows no object.
    """

    objects: int = 0
    found: int = 0
    detections: int = 0
    false: int = 0

    def __add__(self, other: NounCounts) -> NounCounts:
        return NounCounts(
            self.objects + other.objects,
            self.found + other.found,
            self.detections + other.detections,
            self.false + other.false,
        )


def count_nouns(detector: Detector, video: LabelledVideo, *, step: int) -> Iterator[NounCounts]:
    """Yield the counts of every noun in every `step`-th frame of a video."""
    names = [*(noun for nouns in NOUNS.values() for noun in nouns), *GENERAL_NOUNS]
    frames = range(0, video.n_frames, step)
    for name, by_frame in zip(names, detector.detect(video.video, frames, [(name,) for name in names]), strict=True):
        for frame, detected in zip(frames, by_frame, strict=True):
            label = video.labels([frame])[0]
            seen = objects_seen(label, least=_LEAST)
            wanted = [label == one for one in seen if _is_called(video.categories.get(str(one), ""), name)]
            masks = (
                decode(detected.masks, (label.shape[0], label.shape[1]))
                if detected.masks
                else np.zeros((0, *label.shape), bool)
            )
            # Copies of one object are dropped as masklets drop them, before anything counts.
            order = np.argsort(-detected.boxes.scores, kind="stable").tolist()
            kept: list[int] = []
            for place in order:
                if all(_iou(masks[place], masks[other]) < _IOU for other in kept):
                    kept.append(place)
            hits = sum(any(_iou(masks[place], mask) >= _IOU for place in kept) for mask in wanted)
            yield NounCounts(len(wanted), hits, len(kept), 0 if wanted else len(kept))


def _is_called(category: str, name: str) -> bool:
    return name in GENERAL_NOUNS or name in NOUNS.get(category, ())


def _iou(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> float:
    union = int(np.count_nonzero(one | other))
    return int(np.count_nonzero(one & other)) / union if union else 0.0


def score(checkpoint: Path, folder: VideoFolder, *, threshold: float, step: int) -> Mapping[str, float]:
    """Return recall and precision in per cent, and the detections a frame of a noun that it does not show."""
    settings = UninextDetectorSettings("uninext", checkpoint=checkpoint, box_threshold=threshold)
    detector = build_detector(settings, device=torch.device("cpu"))
    total, absent = NounCounts(), 0
    for video in open_videos(folder):
        for counts in count_nouns(detector, video, step=step):
            total, absent = total + counts, absent + (not counts.objects)
    return {
        "recall": 100 * total.found / max(total.objects, 1),
        "precision": 100 * total.found / max(total.detections, 1),
        "detections of an absent noun": total.false / max(absent, 1),
        "objects": total.objects,
    }


def main() -> None:
    """Print the scores as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of `rvos synthesize --format mevis`")
    parser.add_argument("--split", default="valid_u")
    parser.add_argument("--videos", type=int)
    parser.add_argument("--threshold", type=float, default=0.25, help="score from which on a detection counts")
    parser.add_argument("--step", type=int, default=5, help="distance of the frames")
    arguments = parser.parse_args()
    folder = VideoFolder(arguments.data, arguments.split, "mevis", arguments.videos)
    scores = score(arguments.checkpoint, folder, threshold=arguments.threshold, step=arguments.step)
    print(json.dumps({name: round(value, 3) for name, value in scores.items()}))


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
