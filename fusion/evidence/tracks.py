"""The ways of candidates through a video, and that of the camera behind them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

_FEWEST = 3
"""Candidates from which their median says how the camera moves."""


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """A candidate through a video.

    Args:
        label: noun that it was found by.
        centres: `(T, 2)` across and down, in parts of the frame; NaN where it is not seen.
        areas: `(T,)` pixels.
    """

    label: str
    centres: Values
    areas: Values


def find_camera(tracks: Sequence[Track]) -> Values:
    """Return how far the scene has moved by each frame, `(T, 2)`: the sums of the candidates' median steps."""
    if len(tracks) < _FEWEST:
        return np.zeros((len(tracks[0].areas) if tracks else 1, 2))
    steps: Values = np.diff(np.stack([track.centres for track in tracks]), axis=1)
    medians = []
    for own in steps.transpose(1, 0, 2):
        known = own[np.isfinite(own).all(axis=1)]
        medians.append(np.median(known, axis=0) if len(known) else np.zeros(2))
    return np.concatenate([np.zeros((1, 2)), np.cumsum(np.array(medians).reshape(-1, 2), axis=0)])
