"""Oracle rows: the best choice for every sentence of what a node had before it, by ground truth.

A high row says that the right masks are there and not chosen; a low one that they are missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np

from rvos.errors import ConfigError, InputError
from rvos.evaluation.columns import trace_runs
from rvos.evaluation.expressions import ExpressionJudge
from rvos.evaluation.measures import score
from rvos.evaluation.outlines import Outlines
from rvos.evaluation.resampling import resample_gain
from rvos.formats import Dataset, find_format, open_evaluator
from rvos.masks.runs import Runs, unite
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import ReadArtefact
from rvos_fusion.kinds.base import capability
from rvos_fusion.kinds.offers import Offer, check_sizes
from rvos_fusion.planning.results import Results
from rvos_fusion.scores.scoring import Named, ScoringTask, Values, average, score_videos, take_values, weigh

_TOGETHER = 8


@runtime_checkable
class Chooser(Named, Protocol):
    """What a node chooses from: what the oracle rows of a table score."""

    def chooses_from(self) -> tuple[str, ...]:
        """Return the nodes whose results `offers` reads."""

    def offers(self, video: Video, read: ReadArtefact) -> Iterable[Offer]:
        """Yield what could have been chosen for a video's sentences; the same names in one order for every video."""


@dataclass(frozen=True, slots=True)
class OracleRow:
    """Scores in per cent of the best choice.

    Args:
        name: of the choice.
        node: that has it.
        gap: J&F above that of the row that it is compared with: what was there and not chosen.
        low, high: 95 % interval of the gap, by paired resampling of videos; None of fewer than five.
    """

    name: str
    node: str
    j: float
    f: float
    j_and_f: float
    gap: float
    low: float | None
    high: float | None


def measure_oracles(
    results: Results, dataset: Dataset, videos: Sequence[Video], node: str, *, jobs: int = 1
) -> list[OracleRow]:
    """Return the rows of a node and of everything it stands on, compared with the node's own masks.

    Raises a ConfigError where nothing is chosen or no sentence scored alone, else what `score_nodes` does.
    """
    form, evaluator = find_format(dataset.format), open_evaluator(dataset)
    if not evaluator.scores_alone:
        raise ConfigError(f"--oracle: {form.title} scores all sentences of a video together; leave it out")
    if form.has_samples:
        raise ConfigError(f"--oracle: {dataset.format} scores single frames; leave it out")
    wanted = {one.name for one in results.plan.recipe.graph.below(node)}
    nodes = (one for one in results.plan.nodes if one.name in wanted)
    choosers = [chooser for one in nodes if (chooser := capability(one, Chooser)) is not None]
    if not choosers:
        raise ConfigError(
            f"--oracle: nothing is chosen for {node}; name a fusion, a refinement or a choice of tracklets"
        )
    results.require([node, *(name for chooser in choosers for name in chooser.chooses_from())])
    found = score_videos(results, dataset, videos, partial(score_offers, node, choosers), jobs=jobs)
    weights = weigh(dataset, videos, [len(own) for own, _ in found])
    counts = np.array([one.sum() for one in weights])
    rows = []
    for key in found[0][1]:
        (j, f), *_ = average(dataset, videos, [best[key][None] for _, best in found]).tolist()
        pairs = zip(found, weights, strict=True)
        differences = np.array([float(((best[key] - own).mean(axis=1) * one).sum()) for (own, best), one in pairs])
        low, high = resample_gain(100 * differences, counts)
        gap = 100 * differences.sum() / counts.sum()
        rows.append(OracleRow(*key, float(j), float(f), float(j + f) / 2, float(gap), low, high))
    return rows


def score_offers(
    node: str, choosers: Sequence[Chooser], task: ScoringTask
) -> tuple[Values, dict[tuple[str, str], Values]]:
    """Return J and F `(E, 2)` of a node, and of the best choice of every offer by its name and node."""
    judge, video = task.truth.open(), task.video
    if not isinstance(judge, ExpressionJudge):
        raise InputError(f"{video.id}: long, or not scored in all frames alike; leave --oracle out")
    sequences = task.results.by_expression(node)
    truths = {expression.id: judge.trace_for(sequences[expression.id]) for expression in video.expressions}
    given = take_values(judge.judge(list(sequences.values())))
    size = next(iter(sequences.values())).size
    scorer = _Scorer(judge)
    best: dict[tuple[str, str], Values] = {}
    for chooser in choosers:
        for offer in chooser.offers(video, task.results.read_artefact):
            check_sizes(offer, video, size)
            rows = [scorer.find_best(offer, expression.id, truths[expression.id]) for expression in video.expressions]
            best[offer.name, chooser.name] = np.array(rows).reshape(-1, 2)
    return given, best


class _Scorer:
    """J and F of masks, each traced once for all sentences and scored once for an object."""

    def __init__(self, judge: ExpressionJudge) -> None:
        self._judge = judge
        # By identity: what is offered to several sentences is one object, which the entry keeps alive.
        self._traced: dict[int, tuple[Runs, tuple[Outlines, ...]]] = {}
        self._scores: dict[tuple[int, int], Values] = {}

    def find_best(self, offer: Offer, expression: str, truth: tuple[Outlines, ...]) -> Values:
        """Return J and F `(2,)` of the best choice, the first of equals; 0 where nothing is on offer."""
        masks, parts = offer.masks.get(expression, ()), offer.parts.get(expression, ())
        values = self._score([*masks, *parts], truth)
        if not len(values):
            return np.zeros(2)
        grown = self._grow(parts, values[len(masks) :], truth)
        return max([*values, grown], key=lambda value: float(value.sum()))

    def _grow(self, parts: Sequence[Runs], values: Values, truth: tuple[Outlines, ...]) -> Values:
        """Return J and F of the best part together with the others that raise their sum, the best one first."""
        if not parts:
            return np.zeros(2)
        first = int(values.sum(axis=1).argmax())
        best: Values = values[first]
        union, rest = parts[first], [part for i, part in enumerate(parts) if i != first]
        while rest:
            unions = [unite([union, part]) for part in rest]
            further = self._score(unions, truth)
            place = int(further.sum(axis=1).argmax())
            if further[place].sum() <= best.sum():
                break
            best, union = further[place], unions[place]
            del rest[place]
        return best

    def _score(self, masks: Sequence[Runs], truth: tuple[Outlines, ...]) -> Values:
        """Return J and F of masks, `(N, 2)`."""
        unknown = list({id(mask): mask for mask in masks if id(mask) not in self._traced}.values())
        for start in range(0, len(unknown), _TOGETHER):
            part = unknown[start : start + _TOGETHER]
            for mask, outlines in zip(part, trace_runs(part, self._judge.void), strict=True):
                self._traced[id(mask)] = mask, outlines
        for mask in masks:
            key = id(mask), id(truth)
            if key not in self._scores:
                j, f = score(truth, self._traced[id(mask)][1])
                self._scores[key] = np.array([j.mean(), f.mean()])
        return np.array([self._scores[id(mask), id(truth)] for mask in masks]).reshape(-1, 2)
