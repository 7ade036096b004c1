"""Tracklets: the masks of one candidate instance through a video, whatever any sentence says."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError


@dataclass(frozen=True, slots=True, eq=False)
class Tracklet:
    """One candidate instance of a video.

    Args:
        video: id.
        id: of the instance within the video.
        frames: names of the T frames.
        size: (H, W) of the original frames.
        runs: T COCO compressed run lengths, column-major.
        propagation: `(T,)` float32 in [0, 1], mean foreground probability inside the mask of a frame.
        confidence: of the proposal that it was carried from, in [0, 1].
        key_frame: index of that proposal's frame.
        label: noun of the proposal; empty where there is none.
        detector: who proposed it; empty where nobody is named.

    Source: tracklet specification, section 2.
    """

    video: str
    id: str
    frames: tuple[str, ...]
    size: tuple[int, int]
    runs: tuple[bytes, ...]
    propagation: NDArray[np.float32]
    confidence: float
    key_frame: int
    label: str = ""
    detector: str = ""

    def __post_init__(self) -> None:
        where = f"{self.video}/{self.id}"
        n_frames = len(self.frames)
        if not n_frames or len(self.runs) != n_frames or self.propagation.shape != (n_frames,):
            raise InputError(
                f"{where}: {n_frames} frames, {len(self.runs)} masks, propagation of shape {self.propagation.shape}; "
                "give one of each for every frame"
            )
        if self.propagation.dtype != np.float32:
            raise InputError(f"{where}: propagation probabilities are {self.propagation.dtype}; give float32")
        if not 0 <= self.confidence <= 1:
            raise InputError(f"{where}: confidence {self.confidence}; give a number from 0 to 1")
        if not 0 <= self.key_frame < n_frames:
            raise InputError(f"{where}: key frame {self.key_frame} is outside the {n_frames} frames")
