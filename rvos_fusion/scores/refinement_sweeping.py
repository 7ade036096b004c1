"""Sweeps of a refinement over windows and thresholds: masklets and masks are compared once, the rest is counting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np

from propagate.refinement import Combination, Evidence, RefinementSettings, refine
from rvos.evaluation.columns import trace_runs
from rvos.evaluation.expressions import ExpressionJudge
from rvos.evaluation.measures import score
from rvos.formats import Dataset
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import ReadArtefact
from rvos_fusion.kinds.refinement_report import RefinedExpression
from rvos_fusion.planning.results import Results
from rvos_fusion.scores.scoring import Named, ScoringTask, Values, average, judge_masks, score_videos

_TOGETHER = 8
Choice = tuple[Combination | None, ...]
"""For every frame of a sentence the combination whose union is its mask; None: the coarse mask."""


@runtime_checkable
class Refiner(Named, Protocol):
    """How a node refines masks by masklets: what sweeps count."""

    @property
    def rules(self) -> RefinementSettings:
        """How masklets are selected."""

    def inputs(self) -> tuple[str, ...]:
        """Return the nodes with the coarse masks and with the masklets."""

    def gather(self, video: Video, read: ReadArtefact) -> Iterable[RefinedExpression]:
        """Yield the coarse masks of every expression and what they have in common with the masklets of its noun."""


@dataclass(frozen=True, slots=True)
class RefinementRow:
    """Scores in per cent of one window and one threshold; of the coarse masks both are None."""

    window: int | None
    tau: float | None
    j: float
    f: float
    j_and_f: float


def sweep_refinement(
    results: Results,
    dataset: Dataset,
    videos: Sequence[Video],
    node: Refiner,
    *,
    windows: Sequence[int],
    taus: Sequence[float],
    jobs: int = 1,
) -> list[RefinementRow]:
    """Return the scores of the coarse masks, then of every window with every threshold.

    Raises a ConfigError for a window or threshold out of range, else what `score_nodes` does.
    """
    grid = [replace(node.rules, window=window, tau=tau) for window in windows for tau in taus]
    results.require(node.inputs())
    found = score_videos(results, dataset, videos, partial(score_video, node, grid), jobs=jobs)
    means = average(dataset, videos, found)
    places: list[tuple[int | None, float | None]] = [(None, None), *((one.window, one.tau) for one in grid)]
    return [
        RefinementRow(window, tau, float(j), float(f), float(j + f) / 2)
        for (window, tau), (j, f) in zip(places, means, strict=True)
    ]


def score_video(node: Refiner, grid: Sequence[RefinementSettings], task: ScoringTask) -> Values:
    """Return J and F of the coarse masks and of every setting, for every unit of the protocol: `(1 + S, units, 2)`."""
    judge = task.truth.open()
    given = [(own.coarse, own.evidence) for own in node.gather(task.video, task.results.read_artefact)]
    choices: list[list[Choice]] = [
        [(None,) * coarse.n_frames, *(refine(evidence, rules).frames for rules in grid)] for coarse, evidence in given
    ]
    if isinstance(judge, ExpressionJudge):
        rows = [
            _score_choices(judge, coarse, evidence, own) for (coarse, evidence), own in zip(given, choices, strict=True)
        ]
        return np.stack(rows, axis=1)

    def pick(own: Sequence[Choice]) -> Iterator[tuple[MaskSequence, tuple[bytes, ...]]]:
        for (coarse, evidence), choice in zip(given, own, strict=True):
            yield coarse, evidence.pick(coarse.runs, choice)

    return np.stack([judge_masks(judge, pick(own)) for own in zip(*choices, strict=True)])


def _score_choices(
    judge: ExpressionJudge, coarse: MaskSequence, evidence: Evidence, choices: Sequence[Choice]
) -> Values:
    """Return J and F of one sentence's choices, `(choices, 2)`; each of the few combinations is traced once."""
    truth = judge.trace_for(coarse)
    keys = list(dict.fromkeys(key for choice in choices for key in choice))
    known: dict[Combination | None, Values] = {}
    for start in range(0, len(keys), _TOGETHER):
        part = keys[start : start + _TOGETHER]
        runs = [evidence.coarse if key is None else evidence.compose(key).runs for key in part]
        traced = trace_runs(runs, judge.void)
        known |= {key: np.stack(score(truth, outlines)) for key, outlines in zip(part, traced, strict=True)}
    picked = [[known[key][:, frame] for frame, key in enumerate(choice)] for choice in choices]
    means: Values = np.asarray(picked).mean(axis=1)
    return means
