"""What a search tries: every vote of every subset of members, sentence by sentence and by the recipe's groups."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from fusion.methods.votes import Votes
from fusion.sweeps import list_subsets
from fusion.thresholds import Threshold

Integers = NDArray[np.int64]
Complexity = tuple[int, bool]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to fuse.

    Args:
        places: of the members that vote.
        threshold: a share of their votes.
        is_grouped: whether the sentences of a group of the recipe vote together.
    """

    places: tuple[int, ...]
    threshold: Threshold
    is_grouped: bool

    @property
    def complexity(self) -> Complexity:
        """How much there is to it: members, then groups."""
        return len(self.places), self.is_grouped

    @property
    def is_input(self) -> bool:
        """Whether it is nothing but one member as it is."""
        return self.complexity == (1, False)

    def write_threshold(self, group_size: int) -> str:
        """Return the threshold as a recipe has it: of one sentence's votes where that tells, else of a largest group's.

        `1 of n` of single sentences is the union of the members.
        """
        n_votes = len(self.places)
        if (self.threshold.value * n_votes).denominator > 1:
            n_votes *= group_size
        return f"{self.threshold.value * n_votes} of {n_votes}"


def list_candidates(names: Sequence[str], group_size: int | None) -> list[Candidate]:
    """Return what can be made of members; `group_size`: sentences of the largest group, None: no groups are known."""
    everyone = Votes(tuple(names), threshold=Threshold.parse("1/2"))
    found = []
    for is_grouped in (False,) if group_size is None else (False, True):
        settings = list_subsets(everyone, group_size if is_grouped and group_size else 1)
        found += [Candidate(one.members, one.rule.threshold, is_grouped) for one in settings]
    return found


def list_chosen(candidates: Sequence[Candidate], n_members: int) -> Integers:
    """Return which members vote in each candidate, `(S, M)`: 1 or 0."""
    chosen = np.zeros((len(candidates), n_members), np.int64)
    for row, candidate in zip(chosen, candidates, strict=True):
        row[list(candidate.places)] = 1
    return chosen


def count_needed(candidates: Sequence[Candidate], totals: Integers) -> Integers:
    """Return the votes that keep a pixel, `(S,)`, given all votes that the members of each candidate have."""
    pairs = zip(candidates, totals.tolist(), strict=True)
    return np.array([_count_needed(candidate.threshold, total) for candidate, total in pairs], np.int64)


@cache
def _count_needed(threshold: Threshold, total: int) -> int:
    return max(1, threshold.needed(total))
