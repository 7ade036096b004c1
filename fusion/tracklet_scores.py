"""Scores of several grounding models for the same tracklets, as one: their plain mean, which is no vote.

Source: tracklets.md, section 6.1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos.errors import FusionError
from rvos.settings import count

_SHOWN = 12


@dataclass(frozen=True, slots=True, eq=False)
class TrackletScores:
    """What a model thinks of a video's tracklets, which their content hash tells: `(E, P)` float64 in [0, 1]."""

    model: str
    tracklets: str
    values: NDArray[np.float64]


def average_scores(models: Sequence[TrackletScores], weights: Sequence[float] | None = None) -> NDArray[np.float64]:
    """Return the mean score `(E, P)` of every tracklet.

    Args:
        models: at least one.
        weights: one positive number a model; they count by their share of the sum. None: all alike.

    Raises:
        FusionError: no model, scores of other tracklets, of other sentences, or weights that do not fit.
    """
    if not models:
        raise FusionError("tracklet scores: no model; name at least one")
    first = models[0]
    for other in models[1:]:
        if other.tracklets != first.tracklets or other.values.shape != first.values.shape:
            raise FusionError(
                f"{other.model}: scores {other.values.shape} of the tracklets {other.tracklets[:_SHOWN]}, but "
                f"{first.model} has {first.values.shape} of {first.tracklets[:_SHOWN]}; score the same tracklets"
            )
    shares = np.ones(len(models)) if weights is None else np.asarray(weights, dtype=np.float64)
    if shares.shape != (len(models),) or not np.isfinite(shares).all() or not (shares > 0).all():
        raise FusionError(
            f"tracklet scores: weights {weights} for {count(len(models), 'model')}; give one positive number each"
        )
    stacked = np.stack([model.values for model in models])
    return np.asarray(np.tensordot(shares / shares.sum(), stacked, axes=1))
