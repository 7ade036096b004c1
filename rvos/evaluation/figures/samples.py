"""What is published for A2D-Sentences and JHMDB-Sentences: mAP, precision at five IoUs, overall and mean IoU.

Source: A2D and JHMDB specification, measures.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from rvos.evaluation.average_precision import Sample, measure_precision, resample_precision
from rvos.evaluation.figures.base import Draws, Figure, Scores
from rvos.evaluation.resampling import draw
from rvos.evaluation.results import SampleScore

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
_PRECISION_DRAWS = 400
TakeSamples = Callable[[Scores], list[Sample] | None]


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


def list_offered(scores: Scores) -> list[Sample] | None:
    """Return samples with all their masks; None where no sample has more than one, so that there is nothing to rank."""
    samples = [one.sample for one in take_samples(scores)]
    return samples if any(len(one.detections) > 1 for one in samples) else None


def list_best(scores: Scores) -> list[Sample]:
    """Return samples with the best-scored mask of each."""
    return [one.sample.take_best() for one in take_samples(scores)]


def _average_precision(name: str, take: TakeSamples, *, place: int, group: str, gains: bool = False) -> Figure:
    """Return the figure of the masks that `take` leaves; `place`: of AP over all IoUs (0) or from 0.5 on (1)."""

    def measure(scores: Scores) -> float | None:
        samples = take(scores)
        return None if samples is None else measure_precision(samples)[place]

    def resample(rows: Sequence[Scores]) -> Draws:
        # Fewer draws than elsewhere, as each is a whole evaluation.
        draws = np.random.default_rng(0).integers(len(rows[0]), size=(_PRECISION_DRAWS, len(rows[0])))
        taken = map(take, rows)
        return np.stack([draws[:, 0] * np.nan if own is None else resample_precision(own, draws) for own in taken])

    return Figure(name, name, measure, resample if gains else None, group=group)


def _share_above(limit: float) -> Figure:
    def measure(scores: Scores) -> float:
        return float(np.mean([one.iou > limit for one in take_samples(scores)]))

    return Figure(f"P@{limit}", f"P@{limit:g}".replace("0.", "."), measure, group="precisions")


AVERAGE_PRECISIONS = (
    _average_precision("mAP", list_offered, place=0, group="map", gains=True),
    _average_precision("AP50", list_offered, place=1, group="map50"),
    _average_precision("mAP of one mask", list_best, place=0, group="map_of_one_mask", gains=True),
    _average_precision("AP50 of one mask", list_best, place=1, group="map50_of_one_mask"),
)
"""Of all masks of a sample, as the papers' tables rank them, and of the best-scored alone, which every result has."""
PRECISIONS = tuple(_share_above(limit) for limit in THRESHOLDS)
OVERALL_IOU = Figure("overall IoU", "overall", measure_overall)
MEAN_IOU = Figure("mean IoU", "mean", measure_mean, resample_mean)
