"""UNINEXT asked with a noun instead of a sentence: several of its queries, each with its mask."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from runners.base import ModelSettings
from runners.detectors.settings import UninextDetectorSettings
from runners.passes.frame_runner import Candidates, FrameRunner, load_frame_runner
from rvos.masks.detections import FrameBoxes, FrameInstances, box_mask
from rvos.videos import Expression, Video

if TYPE_CHECKING:
    import torch

QUERIES = 20
"""The best queries of a noun in a frame; more than there are instances."""


class UninextDetector:
    """A loaded UNINEXT; all nouns of a video share one visual pass. Queries below `threshold` are dropped."""

    def __init__(self, runner: FrameRunner, *, threshold: float) -> None:
        self._runner = runner
        self._runner.n_best, self._runner.least = QUERIES, threshold

    def detect(self, video: Video, frames: Sequence[int], nouns: Sequence[Sequence[str]]) -> list[list[FrameInstances]]:
        """See `Detector`; the boxes are those around the masks."""
        size = video.read_size()
        names = list(dict.fromkeys(name for own in nouns for name in own))
        seen = video.take(frames)
        questions = [Expression(name, name) for name in names]
        tracks = dict(zip(names, self._runner.look(seen, questions), strict=True)) if names else {}
        return [
            [self._gather({name: tracks[name][place] for name in own}, size) for place in range(len(frames))]
            for own in nouns
        ]

    def _gather(self, candidates: dict[str, Candidates], size: tuple[int, int]) -> FrameInstances:
        """Return what was found of one noun's names in a frame."""
        rows = [
            (name, float(score), runs)
            for name, own in candidates.items()
            for score, runs in zip(own.scores, own.runs, strict=True)
        ]
        boxes = np.array([box_mask(runs, size) for _, _, runs in rows], np.float32).reshape(-1, 4)
        scores = np.array([score for _, score, _ in rows], np.float32)
        return FrameInstances(
            FrameBoxes(boxes, scores, tuple(name for name, _, _ in rows)), tuple(runs for _, _, runs in rows)
        )


def build(settings: UninextDetectorSettings, *, device: torch.device) -> UninextDetector:
    """Return the detector of a checkpoint.

    Raises:
        CheckpointError: the checkpoint cannot be read safely, or does not fit.
        ConfigError: an unusable tokeniser folder or backbone.
    """
    model = ModelSettings(
        "uninext",
        settings.checkpoint,
        settings.backbone,
        settings.tokenizer,
        precision=settings.precision,
        keep_soft=False,
    )
    return UninextDetector(load_frame_runner(model, device=device), threshold=settings.box_threshold)
