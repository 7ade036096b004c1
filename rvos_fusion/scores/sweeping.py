"""Sweeps of a recipe's fusion: every threshold or every subset of members, scored from one count of votes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np

from fusion.groups import Group
from fusion.methods.votes import Votes
from fusion.rules import FusionRule
from fusion.sweeps import Setting, count_member_votes, list_shares, list_subsets, list_thresholds, score_settings
from fusion.thresholds import Threshold
from fusion.votes import check_alike
from rvos.evaluation.expressions import ExpressionJudge
from rvos.formats import Dataset, open_evaluator
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video
from rvos_fusion.kinds.base import capability
from rvos_fusion.planning.results import Results
from rvos_fusion.scores.scoring import Named, ScoringTask, Values, average, judge_masks, score_videos

_LARGEST_GROUP = 2


class Fusing(Named, Protocol):
    """How a node combines members, by whatever method."""

    @property
    def members(self) -> tuple[str, ...]:
        """The nodes that vote, in the order of the rule's weights."""

    @property
    def rule(self) -> FusionRule:
        """The method and its settings."""

    def given_groups(self, video: Video) -> tuple[Group, ...] | None:
        """Return the groups that vote together, None where only masks tell; InputError where data or file lack them."""

    def find_groups(self, video: Video, read: Callable[[str], Iterable[MaskSequence]]) -> tuple[Group, ...]:
        """Return them; `read` returns the stored masks of a node for this video. Raises as `given_groups`."""


@runtime_checkable
class Ballot(Fusing, Protocol):
    """How a node votes: what sweeps and the report count."""

    @property
    def rule(self) -> Votes:
        """Weights and thresholds."""


def find_ballot(node: object) -> Ballot | None:
    """Return how a node votes; None where nothing is counted."""
    found = capability(node, Ballot)
    return found if found is not None and isinstance(found.rule, Votes) else None


@dataclass(frozen=True, slots=True)
class SweepRow:
    """A setting and its scores in per cent.

    `sentences` are J&F of every scored sentence of the videos in turn; none where a protocol scores something else, or
    every subset was tried.
    """

    members: tuple[str, ...]
    threshold: str
    j: float
    f: float
    j_and_f: float
    sentences: tuple[float, ...] = ()


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
    """Return the scores of every setting of a fusion by votes; raises what `score_nodes` does.

    Args:
        thresholds: as in a recipe; none: all that can differ.
        subsets: every subset of the members with every threshold instead, the best first.
    """
    results.require(node.members)
    groups = {video.id: node.given_groups(video) for video in videos}
    given = [group for own in groups.values() for group in own or ()]
    largest = max((len(group.expressions) for group in given), default=_LARGEST_GROUP)
    if subsets:
        settings = list_subsets(node.rule, largest)
    else:
        parsed = [Threshold.parse(text) for text in thresholds]
        settings = list_thresholds(node.rule, parsed or list_shares(node.rule.exact_weights(), largest))
    found = score_videos(results, dataset, videos, partial(_sweep_video, node, groups, settings), jobs=jobs)
    means = average(dataset, videos, found)
    is_told = not subsets and open_evaluator(dataset).scores_alone
    each = 100 * np.concatenate(found, axis=1).mean(2)
    rows = []
    for setting, (j, f), own in zip(settings, means.tolist(), each, strict=True):
        names = tuple(node.members[index] for index in setting.members)
        sentences = tuple(own.tolist()) if is_told else ()
        rows.append(SweepRow(names, str(setting.rule.threshold), j, f, (j + f) / 2, sentences))
    return sorted(rows, key=lambda row: -row.j_and_f) if subsets else rows


def _sweep_video(
    node: Ballot, groups: Mapping[str, Sequence[Group] | None], settings: Sequence[Setting], task: ScoringTask
) -> Values:
    given = groups[task.video.id]
    found = node.find_groups(task.whole, task.results.read) if given is None else given
    return sweep_video(task, node, found, settings)


def sweep_video(task: ScoringTask, node: Fusing, groups: Sequence[Group], settings: Sequence[Setting]) -> Values:
    """Return J and F of every setting and unit of the data set's protocol, `(settings, units, 2)`."""
    members = [task.results.by_expression(name) for name in node.members]
    votes = []
    for group in groups:
        own = [[member[expression] for expression in group.expressions] for member in members]
        for sequences in zip(*own, strict=True):
            check_alike(sequences, node.members)
        present = [sum(not one.abstains for one in part) for part in own]
        votes.append((group, count_member_votes([[one.as_runs() for one in part] for part in own], present)))
    judge = task.truth.open()
    if not isinstance(judge, ExpressionJudge):

        def fuse(setting: Setting) -> Iterator[tuple[MaskSequence, tuple[bytes, ...]]]:
            for group, counted in votes:
                runs = counted.keep(setting).encode()
                yield from ((members[0][expression], runs) for expression in group.expressions)

        return np.stack([judge_masks(judge, fuse(setting)) for setting in settings])
    # Where expressions are scored one by one, the outlines of a group's masks serve all of them.
    order = {expression.id: index for index, expression in enumerate(task.video.expressions)}
    values = np.empty((len(settings), len(order), 2))
    for group, counted in votes:
        known = [expression for expression in group.expressions if expression in order]
        if not known:
            continue
        places = [order[expression] for expression in known]
        truths = [judge.trace_for(members[0][expression]) for expression in known]
        values[:, places] = score_settings(counted, settings, truths, judge.void)
    return values
