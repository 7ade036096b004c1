"""Fusion by assignment: the groups of a video compete for its objects, and different groups get different ones.

Members fail by choosing another whole object, not by bad outlines; the right object was nearly always found, for
another sentence. So what all sequences of the video lie on is on offer to every group.

Source: same_object.md, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from fusion.overlaps import Overlaps
from rvos.errors import FusionError
from rvos.masks.runs import Runs

Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

WEIGHT_UNIT = 10**6
"""Weights are counted in millionths: sums are exact, and ties are ties on every machine."""
_LEAST_WEIGHT = 0.05
_LEAST_CHANCE, _LARGEST_CHANCE = 0.03, 0.97


@dataclass(frozen=True, slots=True)
class ScoreFit:
    """The chance that a sequence lies on the right object; log odds slope * score + presence * presence + intercept.

    `presence` is 0 where members were fitted of which no detector says whether a frame shows what a sentence names.
    """

    slope: float
    intercept: float
    presence: float = 0.0

    def chance(self, score: float, presence: float | None = None) -> float:
        """Return the probability of a tracklet IoU of at least 0.5 with the truth, in [.03, .97].

        Args:
            score: mean of a sequence's scores.
            presence: the largest of a frame; None: nobody says it.

        Raises:
            FusionError: a presence was fitted, and nobody says it.
        """
        if presence is None and self.presence:
            raise FusionError("fitted with the presence of a detector, which this member has not; fit again")
        odds = min(max(self.slope * score + self.presence * (presence or 0.0) + self.intercept, -20.0), 20.0)
        return min(max(1 / (1 + exp(-odds)), _LEAST_CHANCE), _LARGEST_CHANCE)

    def weight(self, score: float, presence: float | None = None) -> float:
        """Return what a sequence counts: log(3 p / (1 - p)), at least 0.05; see `chance`."""
        chance = self.chance(score, presence)
        return max(log(3 * chance / (1 - chance)), _LEAST_WEIGHT)


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A mask sequence of the video, whichever sentence it was made for.

    Args:
        group: place of the group of its sentence.
        weight: integer above 0.
        rank: place of its mean score among its member's sequences, 0 the best; decides ties.
    """

    group: int
    weight: int
    rank: int
    runs: Runs


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """What a video's sequences lie on.

    Args:
        heads: places of the sequences that stand for the objects, strongest first.
        near: `(K, N)` which sequences lie on each head.
        support: `(G, K)` total weight of each group's sequences near each head.
    """

    heads: tuple[int, ...]
    near: Flags
    support: Integers


def assign(
    candidates: Sequence[Candidate], n_groups: int, *, capacity: int | None = 1, overlaps: Overlaps | None = None
) -> list[Runs | None]:
    """Return the masks of every group; None for one without a sequence of its own.

    Args:
        candidates: all non-empty sequences of the video, sentence by sentence, members in their order.
        capacity: groups that may share an object; None: any number, each takes its best.
        overlaps: of the candidates where they are known already; None: found here.

    Raises:
        FusionError: unequal frames or sizes, or a capacity below 1.
    """
    if capacity is not None and capacity < 1:
        raise FusionError(f"capacity {capacity}: give how many groups may share an object, at least 1")
    overlaps = overlaps or Overlaps.find([candidate.runs for candidate in candidates])
    objects = find_objects(candidates, n_groups, overlaps.near)
    chosen = choose_objects(objects.support, capacity)
    owners = np.array([candidate.group for candidate in candidates], np.int64)
    voters = {
        group: {
            place: candidates[place].weight for place in np.flatnonzero(objects.near[head] & (owners == group)).tolist()
        }
        for group, head in enumerate(chosen)
        if head is not None
    }
    voted = dict(zip(voters, overlaps.vote(list(voters.values())), strict=True))
    return [voted.get(group) for group in range(n_groups)]


def find_objects(candidates: Sequence[Candidate], n_groups: int, near: Flags) -> Objects:
    """Return the objects: again and again the sequence with the most unused weight near it takes all of that.

    Ties go to the better rank, then to the earlier sequence.

    Args:
        near: `(N, N)` which candidates lie on each other.
    """
    weights = np.array([candidate.weight for candidate in candidates], np.int64)
    owners = np.zeros((n_groups, len(candidates)), np.int64)
    owners[[candidate.group for candidate in candidates], np.arange(len(candidates))] = weights
    unused = np.ones(len(candidates), np.bool_)
    heads: list[int] = []
    while unused.any():
        totals = near @ np.where(unused, weights, 0)
        head = min(np.flatnonzero(unused).tolist(), key=lambda i: (-int(totals[i]), candidates[i].rank, i))
        heads.append(head)
        unused &= ~near[head]
    support: Integers = owners @ near[heads].T.astype(np.int64)
    return Objects(tuple(heads), near[heads], support)


def choose_objects(support: Integers, capacity: int | None) -> list[int | None]:
    """Return the object of every group, so that the sum of support is largest; None for groups without any.

    Equal sums go to earlier objects, which more sequences stand for. A group left over takes its best one regardless.
    """
    n_groups, n_objects = support.shape
    if not n_objects:
        return [None] * n_groups
    best = [int(row.argmax()) if row.any() else None for row in support]
    if capacity is None:
        return best
    from scipy.optimize import linear_sum_assignment  # slow to import, and most commands never assign

    preference = np.outer(np.arange(n_groups, 0, -1), np.arange(n_objects, 0, -1))
    exact = support * (int(preference.max()) * n_groups + 1) + np.where(support > 0, preference, 0)
    rows, columns = linear_sum_assignment(np.repeat(exact, capacity, axis=1), maximize=True)
    places = dict(zip(rows.tolist(), (columns // capacity).tolist(), strict=True))
    return [
        places[group] if group in places and support[group, places[group]] > 0 else best[group]
        for group in range(n_groups)
    ]
