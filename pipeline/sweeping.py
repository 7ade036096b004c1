"""Sweeps of a recipe's fusion: every threshold or every subset of members, scored from one count of votes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import joblib
import numpy as np

from fusion.groups import Group
from fusion.sweeps import Setting, count_member_votes, list_shares, list_subsets, list_thresholds, score_settings
from fusion.thresholds import Threshold
from fusion.votes import check_alike, read_runs
from pipeline.kinds.base import Ballot
from pipeline.results import Results, VideoResults
from pipeline.scoring import TracedTruth, Values
from rvos.datasets import Dataset
from rvos.datasets.dataset import TruthSource
from rvos.mask_sequences import MaskSequence
from rvos.videos import Video

_LARGEST_GROUP = 2


@dataclass(frozen=True, slots=True)
class SweepRow:
    """A setting and its scores in per cent."""

    members: tuple[str, ...]
    threshold: str
    j: float
    f: float
    j_and_f: float


def sweep_node(
    results: Results,
    dataset: Dataset,
    videos: Sequence[Video],
    node: Ballot,
    *,
    thresholds: Sequence[str] = (),
    subsets: bool = False,
    jobs: int = 1,
) -> list[SweepRow]:
    """Return the scores of every setting of a fusion by votes.

    Args:
        thresholds: as in a recipe; none: all that can differ.
        subsets: every subset of the members with every threshold instead.

    Raises:
        InputError: no ground truth, or masks that do not fit it.
        StoreError: an input of the node is missing, damaged, or made with other settings.
    """
    results.require(node.members)
    groups = {video.id: node.given_groups(video) for video in videos}
    given = [group for own in groups.values() for group in own or ()]
    largest = max((len(group.expressions) for group in given), default=_LARGEST_GROUP)
    settings = list_settings(node, thresholds, subsets=subsets, group_size=largest)
    tasks = (
        joblib.delayed(sweep_video)(
            results.of_video(video.id), video, dataset.select_truth(video), node, groups[video.id], settings
        )
        for video in videos
    )
    means = np.concatenate(joblib.Parallel(n_jobs=jobs)(tasks), axis=1).mean(axis=1)
    return [_make_row(node, setting, 100 * values) for setting, values in zip(settings, means, strict=True)]


def list_settings(node: Ballot, thresholds: Sequence[str], *, subsets: bool, group_size: int) -> list[Setting]:
    """Return the settings to score."""
    if subsets:
        return list_subsets(node.rule, group_size)
    parsed = [Threshold.parse(text) for text in thresholds]
    return list_thresholds(node.rule, parsed or list_shares(node.rule.weights, group_size))


def sweep_video(
    results: VideoResults,
    video: Video,
    source: TruthSource,
    node: Ballot,
    groups: Sequence[Group] | None,
    settings: Sequence[Setting],
) -> Values:
    """Return J and F of every setting and expression of a video, `(settings, expressions, 2)`."""
    members = [results.by_expression(name) for name in node.members]
    if groups is None:
        groups = node.find_groups(video, results.read)
    truth = TracedTruth(video, source.read())
    order = {expression.id: index for index, expression in enumerate(video.expressions)}
    values = np.empty((len(settings), len(order), 2))
    for group in groups:
        places = [order[expression] for expression in group.expressions]
        values[:, places] = _sweep_group(members, group, truth, settings, names=node.members)
    return values


def _sweep_group(
    members: Sequence[dict[str, MaskSequence]],
    group: Group,
    truth: TracedTruth,
    settings: Sequence[Setting],
    *,
    names: Sequence[str],
) -> Values:
    for expression in group.expressions:
        check_alike([member[expression] for member in members], names)
    votes = count_member_votes([[read_runs(member[e]) for e in group.expressions] for member in members])
    truths = [truth.trace(members[0][expression]) for expression in group.expressions]
    return score_settings(votes, settings, truths, truth.void)


def _make_row(node: Ballot, setting: Setting, values: Values) -> SweepRow:
    j, f = float(values[0]), float(values[1])
    threshold = setting.rule.threshold
    members = tuple(node.members[index] for index in setting.members)
    return SweepRow(members, str(threshold), j, f, (j + f) / 2)
