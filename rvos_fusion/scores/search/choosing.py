"""Choosing by cross-validation over videos: the simplest sort of candidate within one standard error of the best.

A sort has many members, and the best of many looks better than it is: sorts are therefore compared by what their best
on some videos gives on others. Source: Breiman et al., Classification and Regression Trees, 1984, section 3.4.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from rvos_fusion.scores.search.settings import Complexity

Values = NDArray[np.float64]
FOLDS = 5


def split_folds(n_videos: int) -> list[tuple[list[int], list[int]]]:
    """Return (others, own) places of each fold: whole videos, of which number i belongs to fold i mod 5."""
    n_folds = min(FOLDS, n_videos)
    return [
        ([place for place in range(n_videos) if place % n_folds != fold], list(range(fold, n_videos, n_folds)))
        for fold in range(n_folds)
    ]


def find_best(sums: Values, counts: Values) -> int:
    """Return the place of the largest mean, the first of equals, of `(S, V)` sums over the sentences of each video."""
    return int((sums.sum(axis=1) / counts.sum()).argmax())


def choose(sums: Values, counts: Values, sorts: Sequence[Complexity]) -> int:
    """Return the place of the candidate to take.

    Args:
        sums: `(S, V)` of each candidate's values over the sentences of each video.
        counts: `(V,)` sentences.
        sorts: of each candidate, the simpler the smaller.
    """
    places = {sort: np.array([p for p, own in enumerate(sorts) if own == sort]) for sort in sorted(set(sorts))}
    folds = split_folds(len(counts))
    held_out = {sort: np.zeros(len(counts)) for sort in places}
    for others, own in folds:
        for sort, rows in places.items():
            best = rows[find_best(sums[rows][:, others], counts[others])]
            held_out[sort][own] = sums[best, own]
    ahead = max(places, key=lambda sort: float(held_out[sort].sum()))
    near = (sort for sort in places if _is_near(held_out[sort] - held_out[ahead], counts))
    rows = places[next(near)]
    return int(rows[find_best(sums[rows], counts)])


def _is_near(differences: Values, counts: Values) -> bool:
    """Tell whether a mean difference is at most one standard error, over videos, below 0; the best is near itself."""
    mean = differences.sum() / counts.sum()
    residuals = differences - mean * counts
    n_videos = len(counts)
    error = sqrt(n_videos / max(n_videos - 1, 1) * float((residuals**2).sum())) / float(counts.sum())
    return bool(mean >= -error - 1e-12)
