"""Figures by kind of sentence, and the mean of the kinds' means, in which every kind counts alike.

Source: specification of the data sets of 2026, sections 1 and 5.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from rvos.evaluation.figures.base import Draws, Figure, Scores
from rvos.evaluation.figures.j_and_f import measure_f, measure_j, measure_j_and_f
from rvos.evaluation.resampling import draw

Measure = Callable[[Scores], float | None]


def measure_kind(kind: str, measure: Measure, scores: Scores) -> float | None:
    """Return what is measured of the sentences of a kind; None without any."""
    own = [score for score in scores if score.kind == kind]
    return measure(own) if own else None


def average_kinds(kinds: Sequence[str], measure: Measure, scores: Scores) -> float | None:
    """Return the mean of what is measured of each kind that there is; None without any of them."""
    found = [value for kind in kinds if (value := measure_kind(kind, measure, scores)) is not None]
    return float(np.mean(found)) if found else None


def measure_all(kinds: Sequence[str], measure: Measure, scores: Scores) -> float | None:
    """Return what is measured of the sentences of some kinds together; None without any."""
    own = [score for score in scores if score.kind in kinds]
    return measure(own) if own else None


def weigh_kinds(kinds: Sequence[str], given: Sequence[str]) -> NDArray[np.float64]:
    """Return the weight of each sentence, given its kind, in the mean of the kinds' means; together their number."""
    counts = {kind: given.count(kind) for kind in kinds if kind in given}
    return np.array([len(given) / (len(counts) * counts[kind]) if kind in counts else 0.0 for kind in given])


def resample_kinds(kinds: Sequence[str], rows: Sequence[Scores]) -> Draws:
    """Return the mean of the kinds' J&F under redrawn videos, each with all of its sentences.

    A draw without any sentence of a kind is the mean of the others.
    """
    places = {name: place for place, name in enumerate(dict.fromkeys(score.video for score in rows[0]))}
    drawn = draw(len(places))
    videos = np.array([places[score.video] for score in rows[0]])
    means, known = [], []
    for kind in kinds:
        own = np.array([score.kind == kind for score in rows[0]])
        counts = drawn @ np.bincount(videos[own], minlength=len(places))
        values = [np.array([score.j_and_f for score in row])[own] for row in rows]
        sums = [drawn @ np.bincount(videos[own], weights=value, minlength=len(places)) for value in values]
        means.append(np.stack(sums) / np.maximum(counts, 1))
        known.append(counts > 0)
    return np.sum(means, axis=0) / np.maximum(np.sum(known, axis=0), 1)


def list_kind_figures(kinds: Sequence[str]) -> tuple[Figure, ...]:
    """Return J, F and J&F as means of the kinds' means, J&F over all sentences of the kinds, and that of each kind."""
    note = f"J, F, J&F: the mean of the means of {' and '.join(kinds)}; sentences: J&F over all of these"
    return (
        Figure("J", "J", partial(average_kinds, kinds, measure_j)),
        Figure("F", "F", partial(average_kinds, kinds, measure_f)),
        Figure("J&F", "J&F", partial(average_kinds, kinds, measure_j_and_f), partial(resample_kinds, kinds), note),
        Figure("J&F sentences", "sentences", partial(measure_all, kinds, measure_j_and_f)),
        *(Figure(f"J&F {kind}", kind, partial(measure_kind, kind, measure_j_and_f)) for kind in kinds),
    )
