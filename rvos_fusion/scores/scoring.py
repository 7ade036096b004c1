"""One way to score stored results: a function of every video, whose ground truth is read and traced once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

import joblib
import numpy as np
from numpy.typing import NDArray

from rvos.dataset import TruthSource
from rvos.errors import InputError
from rvos.evaluation.evaluator import Judge, SelectedTruth
from rvos.evaluation.expressions import ExpressionJudge
from rvos.evaluation.results import ExpressionScore
from rvos.formats import Dataset, open_evaluator
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video
from rvos_fusion.planning.results import Results, VideoResults

Values = NDArray[np.float64]
Found = TypeVar("Found")


class Named(Protocol):
    """A node, as protocols of nodes know it."""

    @property
    def name(self) -> str:
        """Its name in the recipe."""


@dataclass(frozen=True, slots=True)
class ScoringTask:
    """One video to be scored, small enough to be sent to another process: with the sentences that can be scored, and
    whole, its results, the truth in the protocol of the data set and as masks, and whether soft maps change the scores.
    """

    video: Video
    whole: Video
    results: VideoResults
    truth: SelectedTruth
    masks: TruthSource
    reads_soft: bool


def score_videos(
    results: Results,
    dataset: Dataset,
    videos: Sequence[Video],
    score: Callable[[ScoringTask], Found],
    *,
    jobs: int = 1,
) -> list[Found]:
    """Return what a function says of every video; InputError where there is no ground truth."""
    tasks = list_scoring_tasks(results, dataset, videos)
    found: list[Found] = joblib.Parallel(n_jobs=jobs)(joblib.delayed(score)(task) for task in tasks)
    return found


def list_scoring_tasks(results: Results, dataset: Dataset, videos: Sequence[Video]) -> Iterator[ScoringTask]:
    """Yield what is to be scored, a task for each video; InputError where there is no ground truth."""
    evaluator = open_evaluator(dataset)
    return (
        ScoringTask(
            dataset.scored(video),
            video,
            results.of_video(video.id),
            evaluator.select(video),
            dataset.select_truth(dataset.scored(video)),
            evaluator.reads_soft,
        )
        for video in videos
    )


def score_nodes(
    results: Results, dataset: Dataset, videos: Sequence[Video], nodes: Sequence[str], *, jobs: int = 1
) -> list[list[ExpressionScore]]:
    """Return for each node the condensed scores of what the data set's protocol scores, in the order of the videos.

    Raises:
        InputError: no ground truth, or masks that do not fit it.
        StoreError: a result is missing, damaged, or made with other settings.
    """
    found = score_videos(results, dataset, videos, partial(_score_nodes, nodes), jobs=jobs)
    return [[one for own in found for one in own[place]] for place in range(len(nodes))]


def take_values(scores: Sequence[ExpressionScore]) -> Values:
    """Return J and F, means over the frames, of every unit of the protocol: `(units, 2)` in [0, 1]."""
    return np.array([(one.j_mean, one.f_mean) for one in scores]).reshape(-1, 2)


def judge_masks(judge: Judge, masks: Iterable[tuple[MaskSequence, tuple[bytes, ...]]]) -> Values:
    """Return J and F `(units, 2)` of sequences that have other masks, those beside them."""
    return take_values(judge.judge([replace(one, runs=runs, soft=None, propagation=None) for one, runs in masks]))


def average(dataset: Dataset, videos: Sequence[Video], found: Sequence[Values]) -> Values:
    """Return J and F in per cent over the units of all videos, `(settings, 2)`, of `(settings, units, 2)` of each."""
    return 100 * open_evaluator(dataset).average(np.concatenate(found, axis=1), videos)


def weigh(dataset: Dataset, videos: Sequence[Video], counts: Sequence[int]) -> list[Values]:
    """Return what every unit of each video counts in the means of the protocol, given their numbers."""
    weights = open_evaluator(dataset).weigh(videos)
    every = np.ones(sum(counts)) if weights is None else weights
    return np.split(every, np.cumsum(counts)[:-1])


def _score_nodes(nodes: Sequence[str], task: ScoringTask) -> list[list[ExpressionScore]]:
    judge = task.truth.open()
    return [judge_node(judge, task, node, task.results) for node in nodes]


def judge_node(judge: Judge, task: ScoringTask, node: str, results: VideoResults) -> list[ExpressionScore]:
    """Return the condensed scores of a node's results for the video of a task; InputError where masks are missing."""
    return judge_all(judge, node, [results.read(node, soft=task.reads_soft, queries=True)])[0]


def judge_all(judge: Judge, node: str, many: Sequence[Sequence[MaskSequence]]) -> list[list[ExpressionScore]]:
    """Return the condensed scores of many results of a node for one video; raises as `judge_node`."""
    if not isinstance(judge, ExpressionJudge):
        return [_condense(judge.judge(sequences), node) for sequences in many]
    # Its scores depend on the masks alone, which many settings share.
    keys = [tuple((one.expression, one.runs) for one in sequences) for sequences in many]
    distinct = dict(zip(keys, many, strict=True))
    judge.prepare(one for sequences in distinct.values() for one in sequences)
    known = {key: _condense(judge.judge(sequences), node) for key, sequences in distinct.items()}
    return [known[key] for key in keys]


def _condense(scores: Sequence[ExpressionScore], node: str) -> list[ExpressionScore]:
    missing = next((score for score in scores if score.missing), None)
    if missing is not None:
        raise InputError(f"{missing.video}/{missing.expression}: {node} has no masks; run the node again")
    return [score.condense() for score in scores]
