"""J and F of MOSEv2, frame by frame: F within a distance that follows the object's size, absent frames, returns.

Source: specification of the data sets of 2026, section 4.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

Mask = NDArray[np.bool_]
Values = NDArray[np.float64]
_SHARE, _OF_SIZE = 0.008, 0.1


@dataclass(frozen=True, slots=True, eq=False)
class MoseFrames:
    """J, F and Fdot `(T,)` of an object in the frames that are scored, and whether the truth shows it, `(T,)`."""

    j: Values
    f: Values
    f_dot: Values
    shown: Mask


def score_object(truth: Mask, prediction: Mask) -> MoseFrames:
    """Return the measures of every frame of masks `(T, H, W)`, given without the first and the last of the video."""
    rows = [_score_frame(one, other) for one, other in zip(truth, prediction, strict=True)]
    j, f, f_dot = (np.array(values, np.float64) for values in zip(*rows, strict=True))
    return MoseFrames(j, f, f_dot, np.asarray(truth.any(axis=(1, 2))))


def find_absences(shown: Mask) -> list[slice]:
    """Return the runs of frames without the object that follow frames with it."""
    return [run for run in _find_runs(~shown) if run.start > 0]


def find_returns(shown: Mask) -> list[slice]:
    """Return the runs of frames with the object that follow frames without it."""
    return [run for run in _find_runs(shown) if run.start > 0]


def average_runs(values: Values, runs: Sequence[slice]) -> float | None:
    """Return the mean over runs of the means over their frames; None without runs."""
    return float(np.mean([values[run].mean() for run in runs])) if runs else None


def _find_runs(flags: Mask) -> list[slice]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], flags, [False]]).astype(np.int8)))
    return [slice(start, end) for start, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True)]


def _score_frame(truth: Mask, prediction: Mask) -> tuple[float, float, float]:
    """Return J, F and Fdot of masks `(H, W)`; a stray pixel in an absent frame leaves J at 0.5."""
    union = int((truth | prediction).sum())
    j = (int((truth & prediction).sum()) + 1) / (union + 1) if union else 1.0
    contours = _find_contour(truth), _find_contour(prediction)
    reach = _SHARE * math.hypot(*truth.shape)
    area = int(truth.sum())
    # An object that is not there counts as one as long as the diagonal.
    radius = math.ceil(_OF_SIZE * (math.sqrt(area) if area else math.hypot(*truth.shape)))
    if radius < reach:
        return j, _match(*contours, _disk(math.ceil(reach))), _match(*contours, _disk(radius))
    # The official code then widens by a disk of a fractional radius, whose middle is no pixel's.
    f = _match(*contours, _disk(reach))
    return j, f, f


@lru_cache(maxsize=256)
def _disk(radius: float) -> NDArray[np.uint8]:
    """Return the pixels within a radius; the places start at `-radius`, whole or not."""
    places = np.arange(-radius, radius + 1)
    return (places[:, None] ** 2 + places[None] ** 2 <= radius**2).astype(np.uint8)


def _find_contour(mask: Mask) -> Mask:
    """Return the pixels that differ from their right, lower or lower right neighbour; the image goes on at its edge."""
    padded = np.pad(mask, ((0, 1), (0, 1)), mode="edge")
    right, below, across = padded[:-1, 1:], padded[1:, :-1], padded[1:, 1:]
    return (mask ^ right) | (mask ^ below) | (mask ^ across)


def _match(truth: Mask, prediction: Mask, disk: NDArray[np.uint8]) -> float:
    """Return F of contours, each widened by the disk."""
    n_truth, n_prediction = int(truth.sum()), int(prediction.sum())
    if not n_truth and not n_prediction:
        return 1.0
    if not n_truth or not n_prediction:
        return 0.0
    precision = int((prediction & _widen(truth, disk)).sum()) / n_prediction
    recall = int((truth & _widen(prediction, disk)).sum()) / n_truth
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _widen(contour: Mask, disk: NDArray[np.uint8]) -> Mask:
    return cv2.dilate(contour.astype(np.uint8), disk) > 0
