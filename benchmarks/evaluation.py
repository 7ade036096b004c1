"""J and F against the dense procedure: the same masks, the same values."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from benchmarks.dense_evaluation import score_dense
from benchmarks.masks import draw_object
from benchmarks.rows import Row
from rvos.evaluation import j_and_f

_N_FRAMES = 12
_N_OBJECTS = 3

Masks = NDArray[np.bool_]
Score = Callable[[Masks, Masks], tuple[object, object]]


def run() -> Iterator[Row]:
    """Yield the cost of J and F of one object and frame, 720x1280, and the largest difference of the values."""
    cv2.setNumThreads(1)
    ours, baseline, difference = 0.0, 0.0, 0.0
    for seed in range(_N_OBJECTS):
        truth, prediction = (draw_object(_N_FRAMES, seed=seed, member=member) > 0 for member in (0, 1))
        seconds, values = _time(j_and_f, truth, prediction)
        dense_seconds, dense_values = _time(score_dense, truth, prediction)
        difference = max(difference, float(np.abs(np.array(values) - np.array(dense_values)).max()))
        ours, baseline = ours + seconds, baseline + dense_seconds
    per_frame = 1000 / (_N_FRAMES * _N_OBJECTS)
    name = "J and F of an object, 720x1280"
    yield Row(name, ours * per_frame, baseline * per_frame, baseline / ours, ">= 5", "CPU ms/frame")
    yield Row("J and F, largest difference", difference, 0.0, difference, "<= 0", "of 1")


def _time(score: Score, truth: Masks, prediction: Masks) -> tuple[float, tuple[object, object]]:
    """Return CPU seconds of this process and the values."""
    start = time.process_time()
    values = score(truth, prediction)
    return time.process_time() - start, values
