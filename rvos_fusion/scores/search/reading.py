"""What a search reads of every video: J of every candidate in one pass over the masks, later J&F of a chosen few."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fusion.groups import Group
from fusion.methods.votes import Votes
from fusion.sweeps import MemberVotes, Setting, count_member_votes, score_settings
from fusion.votes import check_alike
from rvos.errors import InputError
from rvos.evaluation.expressions import ExpressionJudge
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.runs import Runs
from rvos_fusion.kinds.groups.grouping import GroupSettings, find_groups
from rvos_fusion.scores.comparison import Labelled
from rvos_fusion.scores.scoring import ScoringTask, Values, score_videos
from rvos_fusion.scores.search.patterns import count_patterns
from rvos_fusion.scores.search.settings import Candidate, count_needed, list_chosen


@dataclass(frozen=True, slots=True)
class Members:
    """What is searched: the nodes, and the recipe's groups where they are known."""

    names: tuple[str, ...]
    groups: GroupSettings | None


@dataclass(frozen=True, slots=True, eq=False)
class VideoReading:
    """J `(S, E)` of the candidates for every sentence, and which members `(M, M)` have the same masks everywhere."""

    j: Values
    is_same: NDArray[np.bool_]


def read_videos(
    data: Labelled, members: Members, candidates: Sequence[Candidate], *, jobs: int = 1
) -> list[VideoReading]:
    """Return the reading of every video; raises what `score_nodes` does."""
    return score_videos(*data, partial(_read_video, members, candidates), jobs=jobs)


def score_candidates(
    data: Labelled, members: Members, candidates: Sequence[Candidate], *, jobs: int = 1
) -> list[Values]:
    """Return J&F `(S, E)` of some candidates for the sentences of every video; raises what `score_nodes` does."""
    return score_videos(*data, partial(_score_video, members, candidates), jobs=jobs)


def largest_group(data: Labelled, groups: GroupSettings) -> int:
    """Return the sentences of the largest group."""
    results, _, videos = data
    own = (find_groups(groups, video, results.of_video(video.id).read) for video in videos)
    return max(len(group.expressions) for found in own for group in found)


def _read_video(members: Members, candidates: Sequence[Candidate], task: ScoringTask) -> VideoReading:
    masks = _read_masks(members, task)
    truth = task.masks.read()
    void = None if truth.void is None else Runs.from_masks(truth.void)
    truths = {one.id: Runs.from_masks(truth.masks(one)) for one in task.video.expressions}
    j = np.empty((len(candidates), len(truths)))
    for rows, groups in _split(members, candidates, task):
        own = [candidates[row] for row in rows]
        chosen = list_chosen(own, len(masks))
        for group in groups:
            runs = [[member[name].as_runs() for name in group.expressions] for member in masks]
            needed = count_needed(own, chosen @ _count_present(masks, group))
            for place, name in enumerate(truths):
                if name in group.expressions:
                    masks[0][name].check_fits(task.video, truths[name].size, advice="make the masks again")
                    j[rows, place] = count_patterns(runs, truths[name], void).measure_j(chosen, needed)
    shown = [[member[name].runs for name in truths] for member in masks]
    is_same = np.array([[one == other for other in shown] for one in shown], np.bool_)
    return VideoReading(j, is_same)


def _score_video(members: Members, candidates: Sequence[Candidate], task: ScoringTask) -> Values:
    masks = _read_masks(members, task)
    judge = task.truth.open()
    assert isinstance(judge, ExpressionJudge)
    order = {one.id: place for place, one in enumerate(task.video.expressions)}
    values = np.empty((len(candidates), len(order)))
    for rows, groups in _split(members, candidates, task):
        settings = [_as_setting(members, candidates[row]) for row in rows]
        for group in groups:
            known = [name for name in group.expressions if name in order]
            truths = [judge.trace_for(masks[0][name]) for name in known]
            if known:
                scores = score_settings(_count_votes(masks, group), settings, truths, judge.void)
                values[np.ix_(rows, [order[name] for name in known])] = scores.mean(axis=2)
    return values


def _read_masks(members: Members, task: ScoringTask) -> list[Mapping[str, MaskSequence]]:
    """Return the masks of every member by sentence. Raises InputError: a protocol that is not of single sentences."""
    if not isinstance(task.truth.open(), ExpressionJudge):
        raise InputError(f"{task.video.id}: long, or not scored in all frames alike; search over other videos")
    masks: list[Mapping[str, MaskSequence]] = [task.results.by_expression(name) for name in members.names]
    for one in task.video.expressions:
        for name, own in zip(members.names, masks, strict=True):
            if one.id not in own:
                raise InputError(f"{task.video.id}/{one.id}: {name} has no masks; run the node again")
        check_alike([own[one.id] for own in masks], members.names)
    return masks


def _split(
    members: Members, candidates: Sequence[Candidate], task: ScoringTask
) -> list[tuple[list[int], tuple[Group, ...]]]:
    """Return, for sentences alone and in groups, the places of such candidates, and the groups."""
    rows = {
        is_grouped: [place for place, one in enumerate(candidates) if one.is_grouped == is_grouped]
        for is_grouped in (False, True)
    }
    found = [(rows[False], tuple(Group((one.id,)) for one in task.video.expressions))]
    if rows[True]:
        assert members.groups is not None
        found.append((rows[True], find_groups(members.groups, task.whole, task.results.read)))
    return found


def _as_setting(members: Members, candidate: Candidate) -> Setting:
    names = tuple(members.names[place] for place in candidate.places)
    return Setting(candidate.places, Votes(names, threshold=candidate.threshold))


def _count_present(masks: Sequence[Mapping[str, MaskSequence]], group: Group) -> NDArray[np.int64]:
    """Return of how many sentences of a group each member does not abstain, `(M,)`."""
    return np.array([sum(not member[name].abstains for name in group.expressions) for member in masks], np.int64)


def _count_votes(masks: Sequence[Mapping[str, MaskSequence]], group: Group) -> MemberVotes:
    runs = [[member[name].as_runs() for name in group.expressions] for member in masks]
    return count_member_votes(runs, _count_present(masks, group).tolist())
