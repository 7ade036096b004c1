"""Scores of stored results in the protocol of their data set; ground truth is read and traced once a video."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import joblib
import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.evaluation.evaluator import SelectedTruth
from rvos.formats import Dataset, open_evaluator
from rvos.videos import Video
from rvos_fusion.planning.results import Results, VideoResults

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class VideoScores:
    """J and F of what the data set's protocol scores in a video, means over the frames.

    Args:
        video: id.
        values: `(nodes, units, 2)`, in [0, 1]; a unit is an expression, or for Ref-DAVIS17 an object of one of the four
            annotation files.
        has_target: `(units,)`; None: all have one. MeViS has sentences about nothing in the video.
    """

    video: str
    values: Values
    has_target: NDArray[np.bool_] | None = None


def score_nodes(
    results: Results, dataset: Dataset, videos: Sequence[Video], nodes: Sequence[str], *, jobs: int = 1
) -> list[VideoScores]:
    """Return the scores of stored nodes, video by video.

    Raises:
        InputError: no ground truth, or masks that do not fit it.
        StoreError: a result is missing, damaged, or made with other settings.
    """
    evaluator = open_evaluator(dataset)
    tasks = (
        joblib.delayed(_score_video)(
            results.of_video(video.id), evaluator.select(video), nodes, video=video, soft=evaluator.reads_soft
        )
        for video in videos
    )
    scores: list[VideoScores] = joblib.Parallel(n_jobs=jobs)(tasks)
    return scores


def average(scores: Sequence[VideoScores]) -> Values:
    """Return J and F of every node, `(nodes, 2)`: means over all units."""
    means: Values = np.concatenate([video.values for video in scores], axis=1).mean(axis=1)
    return means


def average_targets(scores: Sequence[VideoScores]) -> Values | None:
    """Return the same over the sentences that have a target; None where all have one, or none has."""
    flags = [
        np.ones(video.values.shape[1], np.bool_) if video.has_target is None else video.has_target for video in scores
    ]
    has_target = np.concatenate(flags)
    if has_target.all() or not has_target.any():
        return None
    means: Values = np.concatenate([video.values for video in scores], axis=1)[:, has_target].mean(axis=1)
    return means


def _score_video(
    results: VideoResults, truth: SelectedTruth, nodes: Sequence[str], *, video: Video, soft: bool
) -> VideoScores:
    judge = truth.open()
    rows = []
    has_target: NDArray[np.bool_] | None = None
    for node in nodes:
        scores = judge.judge(results.read(node, soft=soft))
        missing = next((score.expression for score in scores if score.missing), None)
        if missing is not None:
            raise InputError(f"{video.id}/{missing}: {node} has no masks; run the node again")
        rows.append(np.asarray([(score.j_mean, score.f_mean) for score in scores], np.float64).reshape(-1, 2))
        has_target = np.array([score.has_target for score in scores], np.bool_)
    return VideoScores(video.id, np.stack(rows), has_target)
