"""Scores of stored results: every node of a video against ground truth that is read and traced once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import joblib
import numpy as np
from numpy.typing import NDArray

from fusion.votes import read_runs
from pipeline.results import Results, VideoResults
from rvos.datasets import Dataset
from rvos.datasets.dataset import TruthSource
from rvos.datasets.truth import VideoTruth
from rvos.errors import InputError
from rvos.evaluation.columns import pack_columns, trace_columns, trace_runs
from rvos.evaluation.measures import score
from rvos.evaluation.outlines import Outlines
from rvos.mask_sequences import MaskSequence
from rvos.videos import Video

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class VideoScores:
    """J and F of the expressions of a video, means over the frames.

    Args:
        video: id.
        values: `(nodes, expressions, 2)`, in [0, 1].
    """

    video: str
    values: Values


class TracedTruth:
    """Ground truth of a video with its contours; an object that several expressions name is traced once."""

    def __init__(self, video: Video, truth: VideoTruth) -> None:
        self._video = video
        self._truth = truth
        self._traced: dict[object, tuple[Outlines, ...]] = {}
        self._size = truth.size
        self.void = None if truth.void is None else pack_columns(truth.void)

    def trace(self, sequence: MaskSequence) -> tuple[Outlines, ...]:
        """Return the outlines of what the sequence's expression refers to.

        Raises:
            InputError: frames or sizes differ from the sequence's.
        """
        expression = next(e for e in self._video.expressions if e.id == sequence.expression)
        key = expression.object_ids or expression.id
        if key not in self._traced:
            masks = self._truth.masks(expression)
            self._size = (masks.shape[1], masks.shape[2])
            self._traced[key] = trace_columns(pack_columns(masks), self._size, self.void)
        sequence.check_fits(self._video, self._size, advice="make the masks again")
        return self._traced[key]


def score_nodes(
    results: Results, dataset: Dataset, videos: Sequence[Video], nodes: Sequence[str], *, jobs: int = 1
) -> list[VideoScores]:
    """Return the scores of stored nodes, video by video.

    Raises:
        InputError: no ground truth, or masks that do not fit it.
        StoreError: a result is missing, damaged, or made with other settings.
    """
    tasks = (
        joblib.delayed(_score_video)(results.of_video(video.id), video, dataset.select_truth(video), nodes)
        for video in videos
    )
    scores: list[VideoScores] = joblib.Parallel(n_jobs=jobs)(tasks)
    return scores


def average(scores: Sequence[VideoScores]) -> Values:
    """Return J and F of every node, `(nodes, 2)`: means over all expressions."""
    means: Values = np.concatenate([video.values for video in scores], axis=1).mean(axis=1)
    return means


def _score_video(results: VideoResults, video: Video, source: TruthSource, nodes: Sequence[str]) -> VideoScores:
    truth = TracedTruth(video, source.read())
    return VideoScores(video.id, np.stack([_score_node(results, video, truth, node) for node in nodes]))


def _score_node(results: VideoResults, video: Video, truth: TracedTruth, node: str) -> Values:
    sequences = results.by_expression(node)
    known: dict[tuple[tuple[bytes, ...], int], tuple[float, float]] = {}
    rows = []
    for expression in video.expressions:
        if expression.id not in sequences:
            raise InputError(f"{video.id}/{expression.id}: {node} has no masks; run the node again")
        sequence = sequences[expression.id]
        outlines = truth.trace(sequence)
        key = (sequence.runs, id(outlines))
        if key not in known:
            predicted = trace_runs([read_runs(sequence)], truth.void)[0]
            j, f = score(outlines, predicted)
            known[key] = (float(j.mean()), float(f.mean()))
        rows.append(known[key])
    return np.asarray(rows, np.float64).reshape(-1, 2)
