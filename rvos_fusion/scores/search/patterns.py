"""Pixels counted by who marks them: J of every vote of every subset of members then needs no mask any more.

The boundaries of members, truth and void cut the line of pixels into pieces. Pieces of one frame that the same members
mark are added up; a vote keeps some of these patterns, and its intersection and union with the truth are sums of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fusion.sweeps import count_member_votes
from rvos.masks.runs import Runs

Integers = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class PatternCounts:
    """What each of K patterns covers in T frames.

    Args:
        votes: `(M, K)` sentences for which each member marks the pixels of a pattern.
        inside, outside: `(T, K)` its pixels that the truth marks, and does not.
    """

    votes: Integers
    inside: Values
    outside: Values

    def measure_j(self, chosen: Integers, needed: Integers) -> Values:
        """Return the mean J over the frames, in [0, 1], of S votes, `(S,)`; two empty masks have 1.

        Args:
            chosen: `(S, M)` votes of each member for each sentence: 1 or 0.
            needed: `(S,)` votes that keep a pixel, at least 1.
        """
        passes = (chosen @ self.votes >= needed[:, None]).astype(np.float64)
        common = passes @ self.inside.T
        union = passes @ self.outside.T + self.inside.sum(axis=1)
        j: Values = np.where(union == 0, 1.0, common / np.maximum(union, 1)).mean(axis=1)
        return j


def count_patterns(members: Sequence[Sequence[Runs]], truth: Runs, void: Runs | None = None) -> PatternCounts:
    """Return the patterns of members, each the masks of a group's sentences, beside the truth of one of these.

    Raises a FusionError for masks of unequal frames or sizes.

    Args:
        void: pixels that do not count.
    """
    n_members = len(members)
    counted = count_member_votes([*members, [truth], *([] if void is None else [[void]])])
    # Behind the last boundary nothing is marked.
    lengths = np.diff(counted.positions, append=counted.positions[-1:])
    is_seen = counted.counts[: n_members + 1].any(axis=0)
    if void is not None:
        is_seen &= counted.counts[-1] == 0
    votes, is_true = counted.counts[:n_members, is_seen], counted.counts[n_members, is_seen] > 0
    # No piece that is marked reaches from one frame into the next.
    frames, lengths = counted.positions[is_seen] // truth.stride, lengths[is_seen]
    codes = _encode(votes)
    _, first, pattern = np.unique(codes, return_index=True, return_inverse=True)
    shape = truth.n_frames, len(first)
    place = frames * len(first) + pattern
    inside, outside = (
        np.bincount(place[own], weights=lengths[own], minlength=shape[0] * shape[1]).reshape(shape).astype(np.float64)
        for own in (is_true, ~is_true)
    )
    return PatternCounts(votes[:, first], inside, outside)


def _encode(votes: Integers) -> Integers:
    """Return one number for each column of `(M, P)` votes, equal for equal columns."""
    codes = np.zeros(votes.shape[1], np.int64)
    for own in votes:
        # Made small again after every member, so that no number of members leaves the integers.
        _, codes = np.unique(codes * (int(own.max(initial=0)) + 1) + own, return_inverse=True)
    return codes
