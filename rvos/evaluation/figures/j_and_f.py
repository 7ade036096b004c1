"""J, F and J&F: means over frames, then over all units. Source: evaluation.md, section 3."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rvos.evaluation.figures.base import Draws, Figure, Scores
from rvos.evaluation.resampling import draw


def measure_j(scores: Scores) -> float:
    """Return the mean of J."""
    return float(np.mean([score.j_mean for score in scores]))


def measure_f(scores: Scores) -> float:
    """Return the mean of F."""
    return float(np.mean([score.f_mean for score in scores]))


def measure_j_and_f(scores: Scores) -> float:
    """Return (J + F) / 2."""
    return (measure_j(scores) + measure_f(scores)) / 2


def measure_targets(scores: Scores) -> float | None:
    """Return J&F of the sentences that have a target; None where all have one, or none has."""
    own = [score.j_and_f for score in scores if score.has_target]
    return float(np.mean(own)) if 0 < len(own) < len(scores) else None


def resample_videos(rows: Sequence[Scores]) -> Draws:
    """Return J&F under redrawn videos, each with all of its units."""
    places = {name: place for place, name in enumerate(dict.fromkeys(score.video for score in rows[0]))}
    videos = np.array([places[score.video] for score in rows[0]])
    drawn, counts = draw(len(places)), np.bincount(videos)
    sums = [np.bincount(videos, weights=[score.j_and_f for score in row]) for row in rows]
    return np.stack(sums) @ drawn.T / (counts @ drawn.T)


J = Figure("J", "J", measure_j)
F = Figure("F", "F", measure_f)
J_AND_F = Figure("J&F", "J&F", measure_j_and_f, resample_videos)
J_AND_F_TARGETS = Figure(
    "J&F targets", "targets", measure_targets, note="targets: J&F of the sentences that have a target"
)
