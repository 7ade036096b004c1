"""Groups by runs: sentences of one object stand together in the file, so the file's order is cut into runs.

Source: same_object.md, section 2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import copysign, inf, log, sqrt, tanh

import numpy as np
from numpy.typing import NDArray

from fusion.groups import Group
from fusion.overlaps import are_near
from rvos.errors import FusionError
from rvos.masks.runs import Runs

Values = NDArray[np.float64]

LENGTHS = (0.02, 0.97, 0.008, 0.002)
SLOPE = 3.0
HITS_OF_EVEN_ODDS = 0.37
SURE_ORDER = 3.0
_NEAR, _FAR = 1, 3
_CERTAIN = 1000.0


@dataclass(frozen=True, slots=True)
class RunRule:
    """What a cut into runs is worth.

    Args:
        lengths: probability of a run of 1, 2, ... sentences; longer runs do not occur.
        slope: of the log odds that two sentences are of one object, per share of hits.
        even: share of hits that speaks neither for nor against one object.
    """

    lengths: tuple[float, ...] = LENGTHS
    slope: float = SLOPE
    even: float = HITS_OF_EVEN_ODDS

    def __post_init__(self) -> None:
        if not self.lengths or not all(0 < length <= 1 for length in self.lengths) or sum(self.lengths) > 1 + 1e-9:
            raise FusionError(
                f"lengths {list(self.lengths)}: give the probability of runs of 1, 2, ... sentences, "
                "each above 0, together at most 1"
            )
        if not 0 < self.slope < 1e6 or not 0 <= self.even <= 1:
            raise FusionError(f"slope {self.slope}, even {self.even}: the slope is above 0, even from 0 to 1")


@dataclass(frozen=True, slots=True)
class OrderEvidence:
    """Whether sentences that stand together are alike more often than others.

    Args:
        near, far: mean hits of sentences at distance 1, and at distance 3 or more.
        z: the difference in standard errors over videos.
        n_videos: with pairs of both kinds.
    """

    near: float
    far: float
    z: float
    n_videos: int

    @property
    def is_sure(self) -> bool:
        """Whether the order says something; groups by runs rest on it."""
        return self.z > SURE_ORDER

    @property
    def is_tested(self) -> bool:
        """Whether there are videos enough for any error to show."""
        return self.n_videos > 1


def count_hits(members: Sequence[Mapping[str, Runs]], expressions: Sequence[str]) -> Values:
    """Return the share of the ordered pairs of members that put two sentences on one object, `(E, E)`.

    Args:
        members: raw masks of a video by expression; a pair may be a member with itself.
        expressions: all ids of the video, in file order.

    Raises:
        FusionError: fewer than two members, or unequal frames or sizes.
    """
    near = are_near([member[expression] for member in members for expression in expressions])
    return share_hits(near, len(members))


def share_hits(near: NDArray[np.bool_], n_members: int) -> Values:
    """Return `count_hits` from which of the M * E sequences lie on each other; FusionError with under 2 members."""
    if n_members < 2:
        raise FusionError("groups by runs compare members with each other; name at least two in groups.members")
    shape = (n_members, len(near) // n_members)
    return near.reshape(*shape, *shape).mean(axis=(0, 2))


def group_by_runs(hits: Values, expressions: Sequence[str], rule: RunRule) -> tuple[Group, ...]:
    """Return the runs of the best cut, in file order, each with its confidence."""
    return tuple(Group(tuple(expressions[first:after]), confidence) for first, after, confidence in cut(hits, rule))


def cut(hits: Values, rule: RunRule) -> list[tuple[int, int, float]]:
    """Return the runs of the best cut as (first, after the last, confidence in [0, 1]).

    The best cut has the largest sum over its runs of log P(length) + (length - 1) * mean weight of the pairs inside.
    The mean, not the sum: the pairs' evidence is correlated, and sums join the runs of look-alikes. The confidence is
    the lead over the best cut without the run, as `tanh(lead / 2)`: 0 where both are as good.
    """
    n_sentences = len(hits)
    values = _value_runs(rule.slope * (hits - rule.even), rule.lengths)
    before, last_first = _sum_forwards(values, n_sentences)
    after = _sum_backwards(values, n_sentences)
    runs = []
    end = n_sentences
    while end > 0:
        runs.append((last_first[end], end))
        end = last_first[end]
    found = []
    for first, end in reversed(runs):
        others = [
            before[start] + value + after[stop]
            for (start, stop), value in values.items()
            if start <= first < stop and (start, stop) != (first, end)
        ]
        lead = before[n_sentences] - max(others, default=-inf)
        found.append((first, end, tanh(max(lead, 0.0) / 2)))
    return found


def weigh_order(hits: Sequence[Values]) -> OrderEvidence:
    """Return whether neighbours in the file are alike more often than distant sentences, over all videos.

    Each video with pairs of both kinds counts once, as pairs of one video depend on each other.
    """
    rows = []
    for own in hits:
        distance = np.abs(np.subtract.outer(np.arange(len(own)), np.arange(len(own))))
        if (distance >= _FAR).any():
            rows.append((own[distance == _NEAR].mean(), own[distance >= _FAR].mean()))
    if len(rows) < 2:
        return OrderEvidence(0.0, 0.0, 0.0, len(rows))
    near, far = np.asarray(rows).T
    mean = float((near - far).mean())
    error = float((near - far).std(ddof=1)) / sqrt(len(rows))
    # Videos that all differ by the same amount leave no error; any difference is then sure.
    z = mean / error if error > 0 else copysign(_CERTAIN, mean) if mean else 0.0
    return OrderEvidence(float(near.mean()), float(far.mean()), z, len(rows))


def _value_runs(weights: Values, lengths: Sequence[float]) -> dict[tuple[int, int], float]:
    """Return what every run (first, after the last) is worth."""
    values = {}
    for first in range(len(weights)):
        for length, chance in enumerate(lengths, start=1):
            after = first + length
            if after > len(weights):
                break
            pairs = weights[first:after, first:after][np.triu_indices(length, 1)]
            values[first, after] = log(chance) + ((length - 1) * float(pairs.mean()) if length > 1 else 0.0)
    return values


def _sum_forwards(values: Mapping[tuple[int, int], float], n_sentences: int) -> tuple[list[float], list[int]]:
    """Return the best sum up to every place, and where the last run of it begins; ties to the earlier cut."""
    best, last_first = [0.0] + [-inf] * n_sentences, [0] * (n_sentences + 1)
    for (first, after), value in sorted(values.items()):
        if best[first] + value > best[after]:
            best[after], last_first[after] = best[first] + value, first
    return best, last_first


def _sum_backwards(values: Mapping[tuple[int, int], float], n_sentences: int) -> list[float]:
    best = [-inf] * n_sentences + [0.0]
    for (first, after), value in sorted(values.items(), reverse=True):
        best[first] = max(best[first], value + best[after])
    return best
