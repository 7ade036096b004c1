"""The search itself: what it finds, and what that scores on videos that it did not see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fusion.fitting import LEAST_VIDEOS
from rvos.errors import FusionError
from rvos.evaluation.resampling import resample_gain
from rvos.settings import count
from rvos_fusion.kinds.groups.grouping import GroupSettings
from rvos_fusion.scores.comparison import Labelled
from rvos_fusion.scores.scoring import Values, weigh
from rvos_fusion.scores.search.choosing import choose, find_best, split_folds
from rvos_fusion.scores.search.likeness import RIGHT, measure_likeness
from rvos_fusion.scores.search.reading import Members, largest_group, read_videos, score_candidates
from rvos_fusion.scores.search.settings import Candidate, list_candidates

MOST_MEMBERS = 10
"""Beyond it the subsets are more than anybody's videos can tell apart."""


@dataclass(frozen=True, slots=True)
class FoundRow:
    """J&F in per cent of what a search takes.

    Args:
        candidate: chosen on all videos.
        held_out: of each video, by what is chosen on others.
        fitted: of `candidate` on the videos that it was chosen on.
        gain: held out, over the best input that is chosen on the same other videos.
        low, high: 95 % interval of the gain, over videos.
    """

    candidate: Candidate
    held_out: float
    fitted: float
    gain: float
    low: float | None
    high: float | None

    @property
    def is_sure(self) -> bool:
        """Whether it is better on other videos."""
        return self.low is not None and self.low > 0


@dataclass(frozen=True, slots=True, eq=False)
class Search:
    """What was found.

    Args:
        members: that were searched, with copies.
        names: of those that differ.
        copies: members that were dropped, and which member they are the same as.
        group_size: sentences of the largest group; None: groups were not tried.
        inputs: J&F in per cent of each member.
        likeness: Yule's Q of the members, `(M, M)`.
        oracle: J&F in per cent of the best member for each sentence.
        best_input, fusion, pair: what was chosen of the members alone, of everything, of what two members give.
    """

    members: tuple[str, ...]
    names: tuple[str, ...]
    copies: Mapping[str, str]
    group_size: int | None
    inputs: tuple[float, ...]
    likeness: NDArray[np.float64]
    oracle: float
    best_input: FoundRow
    fusion: FoundRow
    pair: FoundRow

    @property
    def advised(self) -> FoundRow:
        """What to take: the fusion where it is sure to be better, else the best input."""
        return self.fusion if self.fusion.is_sure else self.best_input

    def names_of(self, row: FoundRow) -> tuple[str, ...]:
        """Return the members of a row."""
        return tuple(self.members[place] for place in row.candidate.places)

    def pairs(self) -> dict[tuple[str, str], float | None]:
        """Return Yule's Q of every two members; None where one is always right or always wrong."""
        q = self.likeness
        return {
            (self.names[a], self.names[b]): None if np.isnan(q[a, b]) else float(q[a, b])
            for a, b in combinations(range(len(self.names)), 2)
        }


def search(data: Labelled, names: Sequence[str], groups: GroupSettings | None, *, jobs: int = 1) -> Search:
    """Return what members and votes score best, on videos that they were not chosen on too.

    Choices are made by J, which one count of patterns gives for all candidates; J&F of what is chosen is then measured.

    Raises a FusionError for fewer than 20 videos, or not two to ten members with different masks; else what
    `score_nodes` does.

    Args:
        names: nodes whose results are all there.
        groups: of the recipe; None: every sentence stays alone.
    """
    results, dataset, videos = data
    if len(videos) < LEAST_VIDEOS:
        raise FusionError(
            f"{count(len(videos), 'video')} to search on, expected at least {LEAST_VIDEOS}; add videos, or take a "
            "recipe as it is"
        )
    _check_members(names)
    results.require([*names, *(groups.deciding if groups else ())])
    group_size = None if groups is None else largest_group(data, groups)
    group_size = group_size if group_size and group_size > 1 else None
    members = Members(tuple(names), groups)
    everything = list_candidates(names, group_size)
    readings = read_videos(data, members, everything, jobs=jobs)
    copies = _find_copies(np.all([one.is_same for one in readings], axis=0))
    if len(names) - len(copies) < 2:
        raise FusionError(f"{names[0]} and {', '.join(names[1:])} have the same masks; name members that differ")
    rows = [place for place, one in enumerate(everything) if not copies.keys() & set(one.places)]
    candidates = [everything[row] for row in rows]
    weights = weigh(dataset, videos, [one.j.shape[1] for one in readings])
    judged = _Judged(data, members, candidates, [one.j[rows] for one in readings], weights, jobs)
    return judged.conclude({names[copy]: names[first] for copy, first in copies.items()}, group_size)


def _check_members(names: Sequence[str]) -> None:
    if not 2 <= len(names) <= MOST_MEMBERS:
        given = count(len(names), "member")
        raise FusionError(f"{given} to search: {', '.join(names) or 'none'}; name 2 to {MOST_MEMBERS} with --nodes")


def _find_copies(is_same: NDArray[np.bool_]) -> dict[int, int]:
    """Return the members whose masks are those of an earlier one, which is the value."""
    first = {place: int(np.flatnonzero(own)[0]) for place, own in enumerate(is_same)}
    return {place: one for place, one in first.items() if one != place}


class _Judged:
    """Candidates with their J for every sentence, and what is chosen of them.

    Args:
        j: `(S, E)` of each video.
        weights: what each sentence of a video counts.
    """

    def __init__(
        self,
        data: Labelled,
        members: Members,
        candidates: Sequence[Candidate],
        j: Sequence[Values],
        weights: Sequence[Values],
        jobs: int,
    ) -> None:
        self._data, self._members, self._candidates, self._j, self._jobs = data, members, candidates, j, jobs
        self._weights = weights
        self._counts = np.array([own.sum() for own in weights])
        self._sums = self._add(j)
        self._inputs = [place for place, one in enumerate(candidates) if one.is_input]
        self._every = list(range(len(j)))

    def conclude(self, copies: Mapping[str, str], group_size: int | None) -> Search:
        """Choose on all videos and on all but one fold, and measure what was chosen."""
        pairs = [place for place, one in enumerate(self._candidates) if len(one.places) == 2]
        chosen = [self._choose_folds(range(len(self._candidates))), self._choose_folds(pairs)]
        measured = sorted({*self._inputs, *(place for own in chosen for place in own)})
        scores = score_candidates(
            self._data, self._members, [self._candidates[place] for place in measured], jobs=self._jobs
        )
        sums = dict(zip(measured, self._add(scores), strict=True))
        alone = np.stack([sums[place] for place in self._inputs])

        def find_input(videos: Sequence[int]) -> int:
            return self._inputs[find_best(alone[:, videos], self._counts[videos])]

        # Of inputs J&F is known, so that fusions are measured against the best there is.
        inputs = [find_input(videos) for videos in self._list_choices()]
        settled = [
            [place if place not in self._inputs else best for place, best in zip(own, inputs, strict=True)]
            for own in chosen
        ]
        rows = [self._make_row(own, inputs, sums) for own in (inputs, *settled)]
        lone = [measured.index(place) for place in self._inputs]
        best = [one[lone].max(axis=0) for one in scores]
        names = tuple(self._members.names[self._candidates[place].places[0]] for place in self._inputs)
        is_right = np.concatenate([own[self._inputs] for own in self._j], axis=1) >= RIGHT
        total = float(self._counts.sum())
        return Search(
            self._members.names,
            names,
            copies,
            group_size,
            tuple((100 * alone.sum(axis=1) / total).tolist()),
            measure_likeness(is_right),
            100 * float(self._add([one[None] for one in best]).sum()) / total,
            *rows,
        )

    def _list_choices(self) -> list[list[int]]:
        """Return the videos of each choice: all, then all but each fold."""
        return [self._every, *(others for others, _ in split_folds(len(self._every)))]

    def _choose_folds(self, rows: Sequence[int]) -> list[int]:
        """Return what each choice takes of some candidates."""
        own = list(rows)
        sorts = [self._candidates[row].complexity for row in own]
        return [
            own[choose(self._sums[np.ix_(own, videos)], self._counts[videos], sorts)] for videos in self._list_choices()
        ]

    def _make_row(self, chosen: Sequence[int], inputs: Sequence[int], sums: Mapping[int, Values]) -> FoundRow:
        held_out, before = np.empty((2, len(self._every)))
        for (_, own), place, alone in zip(split_folds(len(self._every)), chosen[1:], inputs[1:], strict=True):
            held_out[own], before[own] = sums[place][own], sums[alone][own]
        total = self._counts.sum()
        low, high = resample_gain(100 * (held_out - before), self._counts)
        means = [100 * float(own.sum() / total) for own in (held_out, sums[chosen[0]], held_out - before)]
        return FoundRow(self._candidates[chosen[0]], means[0], means[1], means[2], low, high)

    def _add(self, values: Sequence[Values]) -> Values:
        """Return weighted sums over the sentences of each video, `(S, V)`, of `(S, E)` of each."""
        return np.stack([own @ weight for own, weight in zip(values, self._weights, strict=True)], axis=1)
