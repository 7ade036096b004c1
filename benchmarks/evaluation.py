"""J and F against the dense procedure: the same masks, the same values."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import cv2
import numpy as np

from benchmarks.dense_evaluation import score_dense
from benchmarks.harness import Row, gain, timed
from benchmarks.scenes import draw_object
from rvos.evaluation import j_and_f

_N_FRAMES = 12
_N_OBJECTS = 3


def run() -> Iterator[Row]:
    """Yield the cost of J and F of one object and frame, 720x1280, and the largest difference of the values."""
    cv2.setNumThreads(1)
    ours, baseline, difference = 0.0, 0.0, 0.0
    for seed in range(_N_OBJECTS):
        truth, prediction = (draw_object(_N_FRAMES, seed=seed, member=member) > 0 for member in (0, 1))
        values, seconds = timed(partial(j_and_f, truth, prediction))
        dense_values, dense_seconds = timed(partial(score_dense, truth, prediction))
        difference = max(difference, float(np.abs(np.array(values) - np.array(dense_values)).max()))
        ours, baseline = ours + seconds, baseline + dense_seconds
    per_frame = 1000 / (_N_FRAMES * _N_OBJECTS)
    yield gain("J and F of an object, 720x1280", ours * per_frame, baseline * per_frame, 5, "CPU ms/frame")
    yield Row("J and F, largest difference", difference, 0.0, difference, "<= 0", "of 1")
