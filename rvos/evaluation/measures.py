"""J and F of mask sequences, and what is said of their frames: mean, recall, decay, variance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.evaluation.columns import pack_columns, trace_columns
from rvos.evaluation.outlines import Outlines, count_pairs

Values = NDArray[np.float64]


def j_and_f(
    ground_truth: NDArray[np.bool_], prediction: NDArray[np.bool_], void: NDArray[np.bool_] | None = None
) -> tuple[Values, Values]:
    """Return J and F of every frame, float64 `(T,)` each, in [0, 1]. Source: evaluation.md, sections 1 and 2.

    Args:
        ground_truth, prediction: masks `(T, H, W)`.
        void: pixels `(T, H, W)` that do not count.

    Raises:
        InputError: shapes that differ or are not `(T, H, W)`.
    """
    if ground_truth.ndim != 3 or ground_truth.shape != prediction.shape:
        raise InputError(
            f"J and F: ground truth {ground_truth.shape} and prediction {prediction.shape}; "
            "both must be (T, H, W) of the same frames and size"
        )
    return score(outline(ground_truth, void), outline(prediction, void))


def outline(masks: NDArray[np.bool_], void: NDArray[np.bool_] | None = None) -> tuple[Outlines, ...]:
    """Return what J and F need of masks `(T, H, W)`. Raises InputError: the void map has another shape."""
    counted = np.asarray(masks, bool)
    if void is not None:
        if void.shape != counted.shape:
            raise InputError(f"J and F: void map {void.shape}, masks {counted.shape}; give them the same shape")
        counted = counted & ~np.asarray(void, bool)
    height, width = counted.shape[1:]
    return trace_columns(pack_columns(counted), (height, width))


def score(truth: Sequence[Outlines], prediction: Sequence[Outlines]) -> tuple[Values, Values]:
    """Return J and F of every frame from outlines of the same frames and size."""
    if not truth:
        return np.zeros(0), np.zeros(0)
    counts = count_pairs(truth, prediction)
    # 1 where both masks are empty.
    no_truth, no_prediction = counts.truth_length == 0, counts.prediction_length == 0
    precision = counts.matched_prediction / np.maximum(counts.prediction_length, 1)
    recall = counts.matched_truth / np.maximum(counts.truth_length, 1)
    total = precision + recall
    f = np.divide(2 * precision * recall, total, out=np.zeros_like(total), where=total > 0)
    return np.where(counts.union == 0, 1.0, counts.intersection / np.maximum(counts.union, 1)), np.where(
        no_truth & no_prediction, 1.0, f
    )


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is reported of per-frame values."""

    mean: float
    recall: float
    decay: float
    variance: float


def summarise(values: Values) -> Statistics:
    """Return mean, share above 0.5, first minus last quarter, and variance over the frames of `(T,)` values.

    The official code keeps the quarter limits in 8 bits; here they are right for more than 256 frames too.

    Source: evaluation.md, section 3 (quarter limits, both ends inclusive).
    """
    if values.size == 0:
        return Statistics(float("nan"), float("nan"), float("nan"), float("nan"))
    limits = (np.round(np.linspace(1, values.size, 5) + 1e-10) - 1).astype(np.int64)
    first, last = values[limits[0] : limits[1] + 1], values[limits[3] : limits[4] + 1]
    decay = float(first.mean() - last.mean())
    return Statistics(float(values.mean()), float((values > 0.5).mean()), decay, float(values.var()))
