"""MeViSv2's figures: no-target accuracy, target accuracy, and Final, the mean of both and J&F.

A sentence without target is answered right by masks that are all empty, one with a target by any foreground. J&F counts
all sentences. Whether a sentence has a target, its annotations say, not the pixels.

Source: specification of sentences about one object, section 5.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rvos.evaluation.figures.base import Draws, Figure, Scores
from rvos.evaluation.figures.j_and_f import measure_j_and_f
from rvos.evaluation.resampling import draw


def measure_n_accuracy(scores: Scores) -> float | None:
    """Return the part of the sentences without target that get an empty answer; None where there are none."""
    found = [score.is_empty for score in scores if not score.has_target]
    return float(np.mean(found)) if found else None


def measure_t_accuracy(scores: Scores) -> float | None:
    """Return the part of the sentences with a target that get any foreground; None where there are none."""
    found = [not score.is_empty for score in scores if score.has_target]
    return float(np.mean(found)) if found else None


def measure_final(scores: Scores) -> float | None:
    """Return the mean of J&F and both accuracies; None where one of them is."""
    without, with_target = measure_n_accuracy(scores), measure_t_accuracy(scores)
    return None if without is None or with_target is None else (measure_j_and_f(scores) + without + with_target) / 3


def resample_final(rows: Sequence[Scores]) -> Draws:
    """Return Final under redrawn videos, each with all of its sentences; NaN where a draw has none of a kind."""
    places = {name: place for place, name in enumerate(dict.fromkeys(score.video for score in rows[0]))}
    videos = np.array([places[score.video] for score in rows[0]])
    drawn, target = draw(len(places)), np.array([score.has_target for score in rows[0]])

    def average(values: Sequence[float], counted: NDArray[np.bool_]) -> Draws:
        own = videos[counted]
        sums = drawn @ np.bincount(own, weights=np.asarray(values)[counted], minlength=len(places))
        counts = drawn @ np.bincount(own, minlength=len(places))
        return np.divide(sums, counts, out=np.full(len(drawn), np.nan), where=counts > 0)

    found = []
    for row in rows:
        is_right = [float(score.is_empty != score.has_target) for score in row]
        j_and_f = average([score.j_and_f for score in row], np.ones_like(target))
        found.append((j_and_f + average(is_right, ~target) + average(is_right, target)) / 3)
    return np.stack(found)


N_ACCURACY = Figure("N-acc", "N-acc", measure_n_accuracy, group="n_accuracy")
T_ACCURACY = Figure("T-acc", "T-acc", measure_t_accuracy, group="t_accuracy")
FINAL = Figure("Final", "Final", measure_final, resample_final)
