"""Fits a fusion's numbers on labelled videos: what scores and hits are worth, or weights and threshold of a vote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import partial
from itertools import product
from math import nan
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from fusion.assignment import ScoreFit
from fusion.fitting import PairFit, cross_validate, fit_pairs, fit_scores
from fusion.groups import Group
from fusion.methods.fitted import FittedRule
from fusion.methods.votes import Votes
from fusion.rules import fuse_video
from fusion.runs import count_hits
from fusion.sweeps import Setting, list_shares
from fusion.votes import read_members
from rvos.errors import FusionError
from rvos.evaluation.evaluator import SelectedTruth
from rvos.evaluation.resampling import resample_gain
from rvos.formats import Dataset
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.masks.runs import Runs, tracklet_iou
from rvos.videos import Video
from rvos_fusion.planning.results import Results
from rvos_fusion.scores.scoring import ScoringTask, Values, score_videos
from rvos_fusion.scores.sweeping import Fusing, sweep_video

_RIGHT = 0.5
_WEIGHTS = (1, 2, 3)


@runtime_checkable
class Combination(Fusing, Protocol):
    """How a node combines members, by whatever method: what `rvos fit` learns for."""

    def order_members(self) -> tuple[str, ...]:
        """Return the nodes whose hits cut the file's order into runs; none where groups are found otherwise."""

    def cut_runs(self, video: Video, hits: Values, pairs: PairFit | None) -> tuple[Group, ...]:
        """Return the groups by runs under a fit; None: the built-in numbers."""


@dataclass(frozen=True, slots=True)
class Numbers:
    """What was fitted; None where the node needs no such thing."""

    scores: tuple[ScoreFit, ...] | None = None
    pairs: PairFit | None = None


@dataclass(frozen=True, slots=True)
class Gain:
    """J&F in per cent.

    Args:
        plain: without what was fitted.
        fitted: on the videos that it was fitted on.
        held_out: of each video with what was fitted on others.
        low, high: 95 % interval of held-out minus plain, over videos; None of fewer than five.
    """

    plain: float
    fitted: float
    held_out: float
    low: float | None
    high: float | None

    @property
    def is_sure(self) -> bool:
        """Whether the fit is better on other videos: the whole interval lies above 0."""
        return self.low is not None and self.low > 0

    @classmethod
    def measure(cls, plain: Sequence[Values], fitted: Sequence[Values], held_out: Sequence[Values]) -> Gain:
        """Return the means over sentences, given the values of each video's sentences."""
        differences = np.array([float((new - old).sum()) for new, old in zip(held_out, plain, strict=True)])
        low, high = resample_gain(100 * differences, np.array([len(values) for values in plain]))
        before, same, others = (100 * float(np.concatenate(values).mean()) for values in (plain, fitted, held_out))
        return cls(before, same, others, low, high)


@dataclass(frozen=True, slots=True, eq=False)
class LabelledVideo:
    """What one video tells.

    Args:
        members: masks by expression, in the order of the fusion.
        given: groups that no fit changes; None where hits decide.
        hits: `(E, E)` of the deciding nodes; None where groups are given.
        scores, is_right: `(M, E)` mean score, NaN of who abstains, and whether the mask lies on the right object.
        presence: `(M, E)` the largest of a frame, NaN where nobody says it.
        known: J&F of the protocol's units by the masks of all expressions.
    """

    video: Video
    members: Sequence[Mapping[str, MaskSequence]]
    given: tuple[Group, ...] | None
    hits: Values | None
    scores: Values
    is_right: NDArray[np.bool_]
    presence: Values
    truth: SelectedTruth
    known: dict[tuple[tuple[bytes, ...], ...], Values] = field(default_factory=dict)


def fit_numbers(
    results: Results, dataset: Dataset, videos: Sequence[Video], node: Combination, *, force: bool = False
) -> tuple[Numbers, Gain]:
    """Return what scores and hits are worth for a fusion by assignment or by the best score.

    Raises a FusionError for too few videos or labels that teach nothing, else what `score_nodes` does.
    """
    learns_scores = isinstance(node.rule, FittedRule)
    if not learns_scores and not node.order_members():
        raise FusionError(f"{node.name}: fuses by {node.rule.method} and has nothing to fit")
    results.require([*node.members, *node.order_members()])
    labelled = score_videos(results, dataset, videos, partial(_label, node))

    def fit(own: Sequence[LabelledVideo]) -> Numbers:
        if not learns_scores:
            return Numbers(None, _fit_pairs(own))
        scores = np.concatenate([one.scores for one in own], axis=1)
        is_right = np.concatenate([one.is_right for one in own], axis=1)
        presence = np.concatenate([one.presence for one in own], axis=1)
        rows = zip(scores, is_right, presence, ~np.isnan(scores), strict=True)
        fits = tuple(
            fit_scores(
                one[known].tolist(), right[known].tolist(), () if np.isnan(seen[known]).any() else seen[known].tolist()
            )
            for one, right, seen, known in rows
        )
        return Numbers(fits, _fit_pairs(own))

    def judge(numbers: Numbers, own: LabelledVideo) -> Values:
        return _judge(node, numbers, own)

    numbers, fitted, held_out = cross_validate(labelled, fit, judge, force=force)
    plain = [_judge(node, Numbers(), own) for own in labelled]
    return numbers, Gain.measure(plain, fitted, held_out)


def fit_votes(
    results: Results, dataset: Dataset, videos: Sequence[Video], node: Combination, *, force: bool = False
) -> tuple[Votes, Gain]:
    """Return the weights from 1 to 3 and the threshold of a vote that score best; raises as `fit_numbers`."""
    assert isinstance(node.rule, Votes)
    results.require([*node.members, *node.order_members()])
    groups = [node.find_groups(video, results.of_video(video.id).read) for video in videos]
    size = max(len(group.expressions) for own in groups for group in own)
    settings = [Setting(tuple(range(len(node.members))), rule) for rule in _list_rules(node.rule, size)]
    by_video = dict(zip((video.id for video in videos), groups, strict=True))

    def sweep(task: ScoringTask) -> Values:
        means: Values = sweep_video(task, node, by_video[task.video.id], settings).mean(axis=2)
        return means

    values = score_videos(results, dataset, videos, sweep)

    def fit(own: Sequence[Values]) -> int:
        return int(np.concatenate(list(own), axis=1).mean(axis=1).argmax())

    chosen, fitted, held_out = cross_validate(values, fit, lambda place, own: own[place], force=force)
    return settings[chosen].rule, Gain.measure([own[0] for own in values], fitted, held_out)


def _list_rules(rule: Votes, group_size: int) -> list[Votes]:
    """Return the rule itself, then every other one; equal proportions of weights once."""
    rules = [rule]
    for weights in product(map(Fraction, _WEIGHTS), repeat=len(rule.members)):
        if np.gcd.reduce([weight.numerator for weight in weights]) == 1:
            named = dict(zip(rule.members, weights, strict=True))
            rules += [replace(rule, weights=named, threshold=part) for part in list_shares(weights, group_size)]
    return rules


def _label(node: Combination, task: ScoringTask) -> LabelledVideo:
    video, results = task.video, task.results
    ids = [expression.id for expression in video.expressions]
    members = [results.by_expression(name) for name in node.members]
    truth = task.masks.read()
    masks = {expression.id: Runs.from_masks(truth.masks(expression)) for expression in video.expressions}
    scores = [
        [nan if member[e].abstains else float(member[e].scores.mean(dtype=np.float64)) for e in ids]
        for member in members
    ]
    seen = [[member[e].highest_presence for e in ids] for member in members]
    is_right = [[tracklet_iou(member[e].as_runs(), masks[e]) >= _RIGHT for e in ids] for member in members]
    hits, given = None, None
    if node.order_members():
        deciding = [results.by_expression(name) for name in node.order_members()]
        hits = count_hits(read_members([[member[e] for e in ids] for member in deciding]), ids)
    else:
        given = node.find_groups(task.whole, results.read)
    shape = (len(members), len(ids))
    return LabelledVideo(
        video,
        members,
        given,
        hits,
        np.asarray(scores, np.float64).reshape(shape),
        np.asarray(is_right, np.bool_).reshape(shape),
        np.asarray(seen, np.float64).reshape(shape),  # None becomes NaN
        task.truth,
    )


def _fit_pairs(labelled: Sequence[LabelledVideo]) -> PairFit | None:
    """Return what hits are worth; None where groups are given, or the data has no object ids to learn from."""
    hits: list[float] = []
    is_same: list[bool] = []
    for own in labelled:
        objects = [expression.object_ids for expression in own.video.expressions]
        if own.hits is None or not all(objects):
            return None
        first, second = np.triu_indices(len(objects), 1)
        hits += own.hits[first, second].tolist()
        is_same += [objects[i] == objects[j] for i, j in zip(first.tolist(), second.tolist(), strict=True)]
    return fit_pairs(hits, is_same)


def _judge(node: Combination, numbers: Numbers, own: LabelledVideo) -> Values:
    """Return the J&F of every unit of the data set's protocol, in [0, 1]."""
    groups = own.given if own.hits is None else node.cut_runs(own.video, own.hits, numbers.pairs)
    assert groups is not None
    fused = by_expression(fuse_video(own.members, groups, node.rule, fits=numbers.scores))
    sequences = [fused[expression.id] for expression in own.video.expressions]
    masks = tuple(sequence.runs for sequence in sequences)
    if masks not in own.known:
        own.known[masks] = np.array([one.j_and_f for one in own.truth.open().judge(sequences)])
    return own.known[masks]
