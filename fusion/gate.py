"""Sentences without target: features of an answer, and what follows where it is emptied below a threshold.

Source: same_object, section 5.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fusion.overlaps import are_near
from fusion.votes import read_all_runs
from rvos.errors import FusionError
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.runs import Runs

Values = NDArray[np.float64]
Flags = NDArray[np.bool_]
Member = Mapping[str, MaskSequence]

FEATURES = ("agreement", "mean_score", "max_score", "area", "presence", "support", "lead")
CONCEPT = "concept"
KNOWN = (*FEATURES, CONCEPT)
"""All features; the last one only where a member stands on a detector that says it."""
NO_CONCEPT = (
    f"feature {CONCEPT}: no member says whether a frame shows what a sentence names; add one that does, such as "
    "`locate:` or `refine:` with detector sam3, or leave the feature out"
)


def measure_features(answers: Member, members: Sequence[Member], expressions: Sequence[str]) -> Values:
    """Return what is known of every sentence's answer, `(E, 8)`, in the order of KNOWN; all in [0, 1] but scores.

    agreement: pairs of different members that lie on one place; mean_score, max_score: of the members' scores over
    frames, averaged over members; area: part of the pixels that the answer marks; presence: part of the frames where it
    marks any; support: part of the members that lie on the answer; lead: support less that of the next best place;
    concept: the largest presence of a frame, averaged over the members that have one, NaN where none has.

    Raises:
        FusionError: fewer than two members, or unequal frames or sizes.
    """
    if len(members) < 2:
        raise FusionError("a gate compares members with each other; name at least two")
    rows = []
    for name in expressions:
        own = [member[name] for member in members]
        masks = read_all_runs([answers[name], *own])
        runs, near = masks[0], are_near(masks)
        between = near[1:, 1:]
        n_members = len(own)
        agreement = (between.sum() - np.trace(between)) / (n_members * (n_members - 1))
        support = float(near[0, 1:].mean())
        elsewhere = between[~near[0, 1:]][:, ~near[0, 1:]]
        next_best = float(elsewhere.sum(axis=1).max(initial=0)) / n_members
        areas = runs.areas()
        rows.append(
            (
                float(agreement),
                float(np.mean([sequence.scores.mean(dtype=np.float64) for sequence in own])),
                float(np.mean([sequence.scores.max() for sequence in own])),
                float(areas.sum()) / (runs.n_frames * runs.size[0] * runs.size[1]),
                float((areas > 0).mean()),
                support,
                support - next_best,
                _average([sequence.highest_presence for sequence in own]),
            )
        )
    return np.asarray(rows, np.float64).reshape(-1, len(KNOWN))


def select_features(features: Values, names: Sequence[str]) -> Values:
    """Return some of the features, `(E, K)`. Raises FusionError: one that is not known of every sentence."""
    selected = features[:, [KNOWN.index(name) for name in names]]
    if np.isnan(selected).any():
        raise FusionError(NO_CONCEPT)
    return selected


def _average(values: Sequence[float | None]) -> float:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else np.nan


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """The answers of one video, each as it is and as it would be when emptied.

    Args:
        has_target: `(E,)`, as the data set says.
        is_empty: `(E,)`, of the answer as it is.
        kept, emptied: `(E,)` J&F in [0, 1].
    """

    has_target: Flags
    is_empty: Flags
    kept: Values
    emptied: Values


@dataclass(frozen=True, slots=True)
class GateScore:
    """What a threshold gives, in per cent.

    Args:
        n_accuracy: sentences without target that get an empty answer; None where there are none.
        t_accuracy: sentences with a target that get a non-empty answer; None where there are none.
        j_and_f: of all sentences; an empty answer to a sentence without target counts as 1.
        final: mean of the three; None where one of them is.
    """

    n_accuracy: float | None
    t_accuracy: float | None
    j_and_f: float
    final: float | None

    @property
    def goal(self) -> float:
        """What a threshold is chosen for: Final, or J&F where there is none."""
        return self.j_and_f if self.final is None else self.final


def count(answers: Answers, chances: Values, threshold: float) -> Values:
    """Return what one video adds to the score of a threshold: `(sentences, J&F, without, emptied, with, answered)`."""
    emptied = answers.is_empty | (chances < threshold)
    values = np.where(emptied, answers.emptied, answers.kept)
    target = answers.has_target
    counts = (
        len(values),
        values.sum(),
        (~target).sum(),
        (emptied & ~target).sum(),
        target.sum(),
        (~emptied & target).sum(),
    )
    return np.array([float(value) for value in counts])


def score_counts(counts: Values) -> GateScore:
    """Return the score of counts that were added up over videos, `(6,)`."""
    sentences, total, without, emptied, target, answered = counts.tolist()
    n_accuracy = 100 * emptied / without if without else None
    t_accuracy = 100 * answered / target if target else None
    j_and_f = 100 * total / sentences if sentences else 0.0
    final = None if n_accuracy is None or t_accuracy is None else (n_accuracy + t_accuracy + j_and_f) / 3
    return GateScore(n_accuracy, t_accuracy, j_and_f, final)


def list_thresholds(chances: Sequence[Values]) -> list[float]:
    """Return every threshold that can differ: 0, half-way between neighbouring chances, and above the largest."""
    known = np.unique(np.concatenate([np.zeros(0), *chances]))
    if not known.size:
        return [0.0]
    return [0.0, *((known[:-1] + known[1:]) / 2).tolist(), float(np.nextafter(known[-1], np.inf))]


def find_best(answers: Sequence[Answers], chances: Sequence[Values]) -> float:
    """Return the threshold with the largest Final; of equal ones the smallest."""
    thresholds = list_thresholds(chances)
    goals = [score_counts(sum_counts(answers, chances, threshold).sum(axis=0)).goal for threshold in thresholds]
    return thresholds[goals.index(max(goals))]


def sum_counts(answers: Sequence[Answers], chances: Sequence[Values], threshold: float) -> Values:
    """Return the counts of every video, `(V, 6)`."""
    return np.stack([count(own, chance, threshold) for own, chance in zip(answers, chances, strict=True)])


def erase(sequence: MaskSequence) -> MaskSequence:
    """Return the sequence with masks that mark nothing."""
    return replace(sequence, runs=Runs.empty(sequence.n_frames, sequence.size).encode(), soft=None)
