"""What frames are worth as key frames; not a rule itself."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rvos.masks.mask_sequences import MaskSequence, SoftMaps

_FOREGROUND = 0.5
_EPSILON = 1e-6


def rank_steady_frames(sequence: MaskSequence) -> list[int]:
    """Return the frames with a mask by their merit, the best first; of equals the earlier.

    A frame's merit is its score, times the squared mean probability inside its mask where soft maps are there, times
    the ratio of its area to the median area (or the inverse, whichever is below 1). Scores are taken to be positive.
    """
    areas = sequence.as_runs().areas().astype(np.float64)
    if not areas.any():
        return []
    ratio = np.maximum(areas, 1) / np.median(areas[areas > 0])
    merit = sequence.scores.astype(np.float64) * np.minimum(ratio, 1 / np.maximum(ratio, _EPSILON))
    if sequence.soft is not None:
        merit = merit * measure_confidence(sequence.soft) ** 2
    return [frame for frame in np.argsort(-merit, kind="stable").tolist() if areas[frame] > 0]


def measure_confidence(soft: SoftMaps) -> NDArray[np.float64]:
    """Return the mean probability inside the mask of every frame, `(T,)`; 0 without a mask."""
    values = soft.dequantise().astype(np.float64)
    probability = values if soft.kind == "probability" else 1 / (1 + np.exp(-values))
    marked = probability > _FOREGROUND
    inside = (probability * marked).sum(axis=(1, 2)) / np.maximum(marked.sum(axis=(1, 2)), 1)
    return inside
