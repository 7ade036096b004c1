"""Scores of a gate, and the fit of its chances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fusion.fitting import Logistic, cross_validate, fit_logistic
from fusion.gate import (
    Answers,
    GateScore,
    erase,
    find_best,
    score_counts,
    sum_counts,
)
from rvos.errors import FusionError
from rvos.evaluation.resampling import Limits, draw, find_limits
from rvos.formats import Dataset, open_evaluator
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import ReadArtefact
from rvos_fusion.planning.results import Results
from rvos_fusion.scores.scoring import Named, ScoringTask, Values, score_videos

Flags = NDArray[np.bool_]


@runtime_checkable
class Gate(Named, Protocol):
    """How a node empties answers: what sweeps and fits of gates read."""

    @property
    def source(self) -> str:
        """The node whose answers are kept or emptied."""

    @property
    def members(self) -> tuple[str, ...]:
        """The nodes whose agreement and scores tell."""

    @property
    def features(self) -> tuple[str, ...]:
        """Names of what decides."""

    def inputs(self) -> tuple[str, ...]:
        """Return the nodes that it reads."""

    def measure(self, video: Video, read: ReadArtefact) -> Values:
        """Return the features of every sentence, `(E, K)`."""

    def may_empty(self, features: Values) -> Flags:
        """Return which answers may be emptied at all, `(E,)`."""

    def chances(self, features: Values) -> Values:
        """Return the chance of a target from features `(E, K)`; InputError where the fitted file cannot be used."""


@dataclass(frozen=True, slots=True, eq=False)
class GatedVideo:
    """Features `(E, K)` of a video's sentences, which answers may be emptied, and the scores of all."""

    features: Values
    may_empty: Flags
    answers: Answers


@dataclass(frozen=True, slots=True)
class GateGain:
    """Final of a gate that was fitted on other videos, beside that without a gate.

    `low` and `high` are the 95 % interval of the difference, over videos; None of fewer than five.
    """

    plain: GateScore
    fitted: GateScore
    held_out: GateScore
    low: float | None
    high: float | None

    @property
    def is_sure(self) -> bool:
        """Whether the fit is better on other videos: the whole interval lies above 0."""
        return self.low is not None and self.low > 0


def read_answers(
    results: Results, dataset: Dataset, videos: Sequence[Video], gate: Gate, *, jobs: int = 1
) -> list[GatedVideo]:
    """Return what a gate sees of every video, and what its answers are worth.

    Raises a FusionError where the data set's protocol does not score single sentences.
    """
    results.require(gate.inputs())
    if not open_evaluator(dataset).scores_alone:
        raise FusionError(f"{dataset.root}: this format's protocol does not score single sentences; use mevis")
    return score_videos(results, dataset, videos, partial(_read_video, gate), jobs=jobs)


def _read_video(gate: Gate, task: ScoringTask) -> GatedVideo:
    expressions, own = task.video.expressions, task.results
    answers = own.by_expression(gate.source)
    ids = [expression.id for expression in expressions]
    features = gate.measure(task.video, own.read_artefact)
    judge = task.truth.open()
    kept = judge.judge([answers[name] for name in ids])
    emptied = judge.judge([erase(answers[name]) for name in ids])
    return GatedVideo(
        features,
        gate.may_empty(features),
        Answers(
            np.array([expression.has_target for expression in expressions], np.bool_),
            np.array([score.is_empty for score in kept], np.bool_),
            np.array([score.j_and_f for score in kept]),
            np.array([score.j_and_f for score in emptied]),
        ),
    )


def fit_gate(videos: Sequence[GatedVideo], *, force: bool = False) -> tuple[Logistic, float, GateGain]:
    """Return the chance of a target, the threshold with the largest Final, and what both give held-out videos.

    Raises a FusionError for too few videos, features that are not finite, or no sentence without target.
    """

    def fit(own: Sequence[GatedVideo]) -> tuple[Logistic, float]:
        features = np.concatenate([video.features for video in own])
        logistic = fit_logistic(features, np.concatenate([video.answers.has_target for video in own]))
        chances = [_restrict(logistic, video) for video in own]
        return logistic, find_best([video.answers for video in own], chances)

    def judge(found: tuple[Logistic, float], own: GatedVideo) -> Values:
        return np.asarray(sum_counts([own.answers], [_restrict(found[0], own)], found[1])[0], np.float64)

    (logistic, threshold), fitted, held_out = cross_validate(videos, fit, judge, force=force)
    plain = np.stack([sum_counts([own.answers], [np.ones(len(own.features))], 0.0)[0] for own in videos])
    # (V, 6) each
    counts = (plain, np.stack(fitted), np.stack(held_out))
    before, same, others = (score_counts(own.sum(axis=0)) for own in counts)
    return logistic, threshold, GateGain(before, same, others, *resample_final(plain, counts[-1]))


def _restrict(logistic: Logistic, own: GatedVideo) -> Values:
    """Return the chances of a target, 1 where an answer may not be emptied."""
    return np.where(own.may_empty, logistic.chances(own.features), 1.0)


def resample_final(before: Values, after: Values) -> Limits:
    """Return the 95 % interval of the gain of Final in per cent, videos drawn with replacement."""
    pairs = [(score_counts(row @ after).final, score_counts(row @ before).final) for row in draw(len(before))]
    # Draws without any sentence of a kind have no Final.
    gains = [new - old for new, old in pairs if new is not None and old is not None]
    return find_limits(np.array(gains), len(before)) if gains else (None, None)
