"""Tables of A2D-Sentences and JHMDB-Sentences: the published figures of nodes, gains with intervals over samples."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import joblib
import numpy as np

from rvos.errors import InputError
from rvos.evaluation.average_precision import resample_precision
from rvos.evaluation.evaluator import SelectedTruth
from rvos.evaluation.figures.samples import THRESHOLDS
from rvos.evaluation.resampling import resample_gain
from rvos.evaluation.results import SampleScore
from rvos.evaluation.samples import SampleEvaluator
from rvos.formats import Dataset, open_evaluator
from rvos.videos import Video
from rvos_fusion.planning.results import Results, VideoResults

_PRECISION_DRAWS = 400
_LIMITS = (2.5, 97.5)


@dataclass(frozen=True, slots=True)
class Gain:
    """A difference in per cent and its 95 % interval, by paired resampling of samples."""

    gain: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SampleRow:
    """A node's figures in per cent.

    Args:
        precisions: share of the samples above each of `THRESHOLDS`.
        mean_gain, map_gain: over the row before; None in the first row. In the row of an input that was added: what the
            last named node has above this one.
        input_of: the last named node, in the rows of its further inputs.
    """

    node: str
    map: float
    map50: float
    precisions: tuple[float, ...]
    overall: float
    mean: float
    mean_gain: Gain | None = None
    map_gain: Gain | None = None
    input_of: str | None = None

    def list_figures(self) -> tuple[tuple[str, float], ...]:
        """Return name and value of every figure, in the order in which papers print them."""
        names = [f"P@{limit:g}".replace("0.", ".") for limit in THRESHOLDS]
        return (
            ("mAP", self.map),
            ("AP50", self.map50),
            *zip(names, self.precisions, strict=True),
            ("overall", self.overall),
            ("mean", self.mean),
        )


def score_samples(
    results: Results, dataset: Dataset, videos: Sequence[Video], nodes: Sequence[str], *, jobs: int = 1
) -> list[list[SampleScore]]:
    """Return the scores of all samples by node.

    Raises:
        InputError: no ground truth, or masks that do not fit it.
        StoreError: a result is missing, damaged, or made with other settings.
    """
    evaluator = open_evaluator(dataset)
    found: list[list[list[SampleScore]]] = joblib.Parallel(n_jobs=jobs)(
        joblib.delayed(_score_window)(results.of_video(video.id), evaluator.select(video), nodes) for video in videos
    )
    return [[score for own in found for score in own[place]] for place in range(len(nodes))]


def _score_window(results: VideoResults, truth: SelectedTruth, nodes: Sequence[str]) -> list[list[SampleScore]]:
    judge = truth.open()
    rows = []
    for node in nodes:
        scores = [one for one in judge.judge(results.read(node)) if isinstance(one, SampleScore)]
        missing = next((one for one in scores if one.missing), None)
        if missing is not None:
            raise InputError(f"{missing.video}/{missing.expression}: {node} has no masks; run the node again")
        rows.append(scores)
    return rows


def make_sample_table(
    nodes: Sequence[str], scores: Sequence[Sequence[SampleScore]], *, inputs: Sequence[str] = ()
) -> list[SampleRow]:
    """Return a row for each node, and one for each further input of the last of them.

    Args:
        scores: of the nodes, then of the inputs, all of the same samples.
    """
    n_samples = len(scores[0])
    draws = np.random.default_rng(0).integers(n_samples, size=(_PRECISION_DRAWS, n_samples))
    # One node's draws are those of every other: only so do their differences belong to the same samples.
    drawn = [resample_precision([one.sample for one in own], draws) for own in scores] if len(scores) > 1 else []
    figures = [{one.name: one.measure(own) or 0.0 for one in SampleEvaluator.figures} for own in scores]
    rows = []
    last = len(nodes) - 1
    for index, node in enumerate([*nodes, *inputs]):
        is_added = index > last
        better, worse = (last, index) if is_added else (index, index - 1)
        mean_gain = map_gain = None
        if index > 0:
            mean_gain = _compare_means(scores[better], scores[worse])
            low, high = np.percentile(drawn[better] - drawn[worse], _LIMITS)
            difference = figures[better]["mAP"] - figures[worse]["mAP"]
            map_gain = Gain(100 * difference, 100 * float(low), 100 * float(high))
        own = {name: 100 * value for name, value in figures[index].items()}
        rows.append(
            SampleRow(
                node,
                own["mAP"],
                own["AP50"],
                tuple(own[f"P@{limit}"] for limit in THRESHOLDS),
                own["overall IoU"],
                own["mean IoU"],
                mean_gain,
                map_gain,
                nodes[-1] if is_added else None,
            )
        )
    return rows


def _compare_means(better: Sequence[SampleScore], worse: Sequence[SampleScore]) -> Gain:
    differences = np.array([one.iou - other.iou for one, other in zip(better, worse, strict=True)])
    low, high = resample_gain(differences, np.ones(len(differences), np.int64))
    return Gain(100 * float(differences.mean()), 100 * low, 100 * high)
