"""What is published for A2D-Sentences and JHMDB-Sentences: mAP, precision at five IoUs, overall and mean IoU.

Source: A2D and JHMDB specification, measures.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rvos.evaluation.average_precision import measure_precision, resample_precision
from rvos.evaluation.figures.base import Draws, Figure, Scores
from rvos.evaluation.resampling import draw
from rvos.evaluation.results import SampleScore

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
_PRECISION_DRAWS = 400


def take_samples(scores: Scores) -> list[SampleScore]:
    """Return the scores of samples."""
    return [score for score in scores if isinstance(score, SampleScore)]


def measure_overall(scores: Scores) -> float:
    """Return all intersections over all unions; 1 where both masks are empty everywhere."""
    samples = take_samples(scores)
    union = sum(one.union for one in samples)
    return sum(one.intersection for one in samples) / union if union else 1.0


def measure_mean(scores: Scores) -> float:
    """Return the mean IoU."""
    return float(np.mean([one.iou for one in take_samples(scores)]))


def resample_mean(rows: Sequence[Scores]) -> Draws:
    """Return the mean IoU under redrawn samples."""
    ious = np.array([[one.iou for one in take_samples(row)] for row in rows])
    return ious @ draw(ious.shape[1]).T / ious.shape[1]


def resample_map(rows: Sequence[Scores]) -> Draws:
    """Return mAP under redrawn samples; fewer draws, as each is a whole evaluation."""
    draws = np.random.default_rng(0).integers(len(rows[0]), size=(_PRECISION_DRAWS, len(rows[0])))
    return np.stack([resample_precision([one.sample for one in take_samples(row)], draws) for row in rows])


def _share_above(limit: float) -> Figure:
    def measure(scores: Scores) -> float:
        return float(np.mean([one.iou > limit for one in take_samples(scores)]))

    return Figure(f"P@{limit}", f"P@{limit:g}".replace("0.", "."), measure, group="precisions")


MAP = Figure(
    "mAP", "mAP", lambda scores: measure_precision([one.sample for one in take_samples(scores)])[0], resample_map
)
AP50 = Figure(
    "AP50", "AP50", lambda scores: measure_precision([one.sample for one in take_samples(scores)])[1], group="map50"
)
PRECISIONS = tuple(_share_above(limit) for limit in THRESHOLDS)
OVERALL_IOU = Figure("overall IoU", "overall", measure_overall)
MEAN_IOU = Figure("mean IoU", "mean", measure_mean, resample_mean)
