"""Scores of expressions, samples, objects and data sets, and their means."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from rvos.evaluation.average_precision import Sample
from rvos.evaluation.measures import summarise
from rvos.settings import count

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class ExpressionScore:
    """J and F of one expression (or of one object, where the benchmark averages objects).

    Args:
        video, expression: ids.
        objects: what it refers to.
        j, f: `(T,)`, in [0, 1]; a missing frame has 0.
        missing: frames without a prediction.
        has_target: whether the expression names an annotated object.
        is_empty: whether the prediction is empty in every frame.
        notes: oddities of the prediction.
        kind: of the sentence, as the data set says.
    """

    video: str
    expression: str
    objects: tuple[str, ...]
    frames: tuple[str, ...]
    j: Values
    f: Values
    missing: tuple[str, ...] = ()
    has_target: bool = True
    is_empty: bool = False
    notes: tuple[str, ...] = ()
    kind: str = ""

    @property
    def j_mean(self) -> float:
        """Mean J over the frames."""
        return float(self.j.mean())

    @property
    def f_mean(self) -> float:
        """Mean F over the frames."""
        return float(self.f.mean())

    @property
    def j_and_f(self) -> float:
        """(J + F) / 2."""
        return (self.j_mean + self.f_mean) / 2

    def condense(self) -> Self:
        """Return the score with its means in place of the frames: all that figures need, and little to keep."""
        return replace(self, frames=(), missing=(), j=np.array([self.j_mean]), f=np.array([self.f_mean]))

    def join(self, later: Self) -> Self:
        """Return the score of these frames and those of a score that follows."""
        return replace(
            self,
            frames=self.frames + later.frames,
            j=np.concatenate([self.j, later.j]),
            f=np.concatenate([self.f, later.f]),
            missing=self.missing + later.missing,
            is_empty=self.is_empty and later.is_empty,
            notes=tuple(dict.fromkeys(self.notes + later.notes)),
        )

    def as_missing(self) -> Self:
        """Return the score of a sentence that nobody answered."""
        return replace(self, j=np.zeros_like(self.j), f=np.zeros_like(self.f), is_empty=True)


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class SampleScore(ExpressionScore):
    """A sentence in its annotated frame. It has no F: the IoU stands in for J and F, and so for J&F.

    Args:
        sample: truth and detections.
        intersection, union: of the best-scored mask and the truth, in pixels.
    """

    sample: Sample
    intersection: int
    union: int

    @property
    def iou(self) -> float:
        """IoU of the best-scored mask, in [0, 1]."""
        return float(self.j[0])


@dataclass(frozen=True, slots=True)
class DatasetScore:
    """Means of a data set, in [0, 1].

    Args:
        figures: what tables show, by name, in their order.
        scores: of every unit, in data set order.
        extra: further figures of the benchmark, by name.
        strays: what lies among the predictions and was not scored.
        unit: what was scored.
        official: what the benchmark's own scorer makes of predictions that are missing.
    """

    format: str
    figures: Mapping[str, float]
    scores: tuple[ExpressionScore, ...]
    extra: Mapping[str, float] = field(default_factory=dict)
    strays: tuple[str, ...] = ()
    unit: str = "expressions"
    official: tuple[str, ...] = ()

    @property
    def j(self) -> float:
        """Mean J."""
        return self.figures["J"]

    @property
    def f(self) -> float:
        """Mean F."""
        return self.figures["F"]

    @property
    def j_and_f(self) -> float:
        """(J + F) / 2."""
        return self.figures["J&F"]

    @property
    def missing(self) -> tuple[str, ...]:
        """Expressions without prediction, or with frames missing, each as one text."""
        found = []
        for score in self.scores:
            lacks_all = len(score.missing) == len(score.frames)
            named = f"all {count(len(score.frames), 'frame')}" if lacks_all else ", ".join(score.missing)
            found += [f"{score.video}/{score.expression}: {named}"] if score.missing else []
        return tuple(found)

    @property
    def notes(self) -> tuple[str, ...]:
        """Oddities of the predictions."""
        return tuple(note for score in self.scores for note in score.notes)


def average_objects(scores: Sequence[ExpressionScore]) -> dict[str, tuple[float, float, int]]:
    """Return `video/object` -> (J, F, number of expressions), averaged over the expressions of an object."""
    groups: dict[str, list[ExpressionScore]] = {}
    for score in scores:
        groups.setdefault(f"{score.video}/{'+'.join(score.objects)}", []).append(score)
    return {
        name: (
            float(np.mean([score.j_mean for score in members])),
            float(np.mean([score.f_mean for score in members])),
            len(members),
        )
        for name, members in groups.items()
    }


def measure_stability(scores: Sequence[ExpressionScore]) -> dict[str, float]:
    """Return how much J and J&F vary over the frames of an expression, averaged over expressions.

    Source: SOC paper, temporal stability: variance of IoU and of J&F over the frames of a video.
    """
    return {
        "variance J": float(np.mean([summarise(score.j).variance for score in scores])),
        "variance J&F": float(np.mean([summarise((score.j + score.f) / 2).variance for score in scores])),
    }
