"""ReVOS: J, F, accuracy A and robustness R of every sentence, means of two kinds of sentences.

Source: specification of the data sets of 2026, section 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Protocol, Self, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from rvos.dataset import VideoTruth
from rvos.errors import InputError
from rvos.evaluation.evaluator import Evaluator, OpenJudge
from rvos.evaluation.expressions import ExpressionJudge
from rvos.evaluation.figures.base import Figure, Scores
from rvos.evaluation.figures.j_and_f import measure_f, measure_j, measure_j_and_f
from rvos.evaluation.figures.kinds import (
    Measure,
    average_kinds,
    list_kind_figures,
    measure_all,
    measure_kind,
    weigh_kinds,
)
from rvos.evaluation.parts import open_in_parts
from rvos.evaluation.results import ExpressionScore
from rvos.masks.runs import Runs, intersect_by_frame
from rvos.settings import count
from rvos.videos import Expression, Video

REFERRING, REASONING, NO_TARGET = "referring", "reasoning", "no target"
KINDS = (REFERRING, REASONING, NO_TARGET)
"""By `type_id`."""
COUNTED = (REFERRING, REASONING)
SCALES = (255, 1)
"""What foreground is written as: R and A depend on it."""

Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class RevosScore(ExpressionScore):
    """A sentence, whose means are rounded to 0.01 % as the official scorer rounds them.

    Args:
        accuracy, robustness: A and R of every frame, `(scales, T)`, in the order of `SCALES`.
    """

    accuracy: Values
    robustness: Values

    @property
    def j_mean(self) -> float:
        """Mean J over the frames, rounded."""
        return _round(float(self.j.mean()))

    @property
    def f_mean(self) -> float:
        """Mean F over the frames, rounded."""
        return _round(float(self.f.mean()))

    def mean_accuracy(self, scale: int) -> float:
        """Return mean A for masks of 0 and `scale`, rounded."""
        return _round(float(self.accuracy[SCALES.index(scale)].mean()))

    def mean_robustness(self, scale: int) -> float:
        """Return mean R for masks of 0 and `scale`, rounded."""
        return _round(float(self.robustness[SCALES.index(scale)].mean()))

    def condense(self) -> Self:
        """Return the score with its means in place of the frames."""
        accuracy, robustness = (own.mean(axis=1, keepdims=True) for own in (self.accuracy, self.robustness))
        return replace(ExpressionScore.condense(self), accuracy=accuracy, robustness=robustness)

    def join(self, later: Self) -> Self:
        """Return the score of these frames and those of a score that follows."""
        return replace(
            ExpressionScore.join(self, later),
            accuracy=np.concatenate([self.accuracy, later.accuracy], axis=1),
            robustness=np.concatenate([self.robustness, later.robustness], axis=1),
        )

    def as_missing(self) -> Self:
        """Return the score of a sentence that nobody answered: an empty answer would have R = 1."""
        zeros = np.zeros_like(self.accuracy)
        return replace(ExpressionScore.as_missing(self), accuracy=zeros, robustness=zeros)


def _round(value: float) -> float:
    return round(100 * value, 2) / 100


@runtime_checkable
class CountedTruth(VideoTruth, Protocol):
    """Ground truth that knows annotations one by one."""

    def counts(self, expression: Expression) -> NDArray[np.uint8]:
        """Return how many of the expression's annotations cover each pixel, `(T, H, W)`."""

    def objects(self) -> NDArray[np.bool_]:
        """Return the masks `(T, H, W)` of everything that is annotated in the video."""


@dataclass(frozen=True, slots=True, eq=False)
class Covering:
    """What R and A need of the truth of a sentence.

    Args:
        levels: number of annotations -> the pixels that so many cover, without those that none does.
        objects: pixels of all annotated objects of the video, `(T,)`.
    """

    levels: dict[int, Runs]
    objects: Values

    @classmethod
    def of(cls, counts: NDArray[np.uint8], objects: NDArray[np.bool_]) -> Covering:
        """Return it from annotations by pixel, and the masks of all objects."""
        levels = {level: Runs.from_masks(counts == level) for level in range(1, int(counts.max(initial=0)) + 1)}
        return cls(levels, objects.sum(axis=(1, 2)).astype(np.float64))

    def measure(self, prediction: Runs, scale: int) -> tuple[Values, Values]:
        """Return A and R of every frame, for masks whose foreground is written as `scale`, 1 to 255.

        The official code calculates in bytes: where two annotations overlap, 1 - 2 is 255.
        """
        height, width = prediction.size
        hits = {level: intersect_by_frame(prediction, own) for level, own in self.levels.items()}
        outside = prediction.areas() - sum(hits.values())
        annotated = sum(own.areas() for own in self.levels.values())
        wrong = scale * outside + sum((1 - level) * scale % 256 * own for level, own in hits.items())
        right = height * width - annotated - outside + hits.get(scale, 0)
        return right / (height * width), np.maximum(0.0, 1 - wrong / (self.objects + 1e-6))


class RevosJudge(ExpressionJudge):
    """Ground truth of a video, with its annotations one by one."""

    def __init__(self, video: Video, truth: VideoTruth) -> None:
        super().__init__(video, truth)
        if not isinstance(truth, CountedTruth):
            raise InputError(f"{video.id}: R needs annotations one by one, as mask_dict.json has them")
        self._counted = truth
        self._covering: dict[object, Covering] = {}
        self._objects: NDArray[np.bool_] | None = None

    def complete(self, expression: Expression, score: ExpressionScore, read: Callable[[], Runs]) -> RevosScore:
        """Return the score with A and R; frames without a prediction have 0."""
        prediction, covering = read(), self._cover(expression)
        measured = [covering.measure(prediction, scale) for scale in SCALES]
        accuracy, robustness = (np.stack(own) for own in zip(*measured, strict=True))
        absent = np.isin(score.frames, score.missing)
        accuracy[:, absent] = robustness[:, absent] = 0
        return RevosScore(
            score.video,
            score.expression,
            score.objects,
            score.frames,
            score.j,
            score.f,
            score.missing,
            score.has_target,
            score.is_empty,
            score.notes,
            score.kind,
            accuracy=accuracy,
            robustness=robustness,
        )

    def _cover(self, expression: Expression) -> Covering:
        key = expression.object_ids or expression.id
        if key not in self._covering:
            if self._objects is None:
                self._objects = self._counted.objects()
            self._covering[key] = Covering.of(self._counted.counts(expression), self._objects)
        return self._covering[key]


def take_revos(scores: Scores) -> list[RevosScore]:
    """Return the scores of sentences of ReVOS."""
    return [score for score in scores if isinstance(score, RevosScore)]


def measure_robustness(scale: int, scores: Scores) -> float:
    """Return mean R for masks of 0 and `scale`."""
    return float(np.mean([score.mean_robustness(scale) for score in take_revos(scores)]))


def measure_accuracy(scale: int, scores: Scores) -> float:
    """Return mean A for masks of 0 and `scale`."""
    return float(np.mean([score.mean_accuracy(scale) for score in take_revos(scores)]))


def measure_emptiness(scores: Scores) -> float:
    """Return the share of sentences whose masks are empty in every frame."""
    return float(np.mean([score.is_empty for score in scores]))


_MEASURES: Mapping[str, Measure] = {
    "J": measure_j,
    "F": measure_f,
    "J&F": measure_j_and_f,
    **{f"A ({scale})": partial(measure_accuracy, scale) for scale in SCALES},
    **{f"R ({scale})": partial(measure_robustness, scale) for scale in SCALES},
}
_R_NOTE = "R (255): robustness of masks of 0 and 255, as papers print it; R (1): of masks of 0 and 1"


class RevosEvaluator(Evaluator):
    """Means of the kinds' means; sentences without a target are in none of them."""

    figures: ClassVar[tuple[Figure, ...]] = (
        *list_kind_figures(COUNTED),
        *(
            Figure(name, name, partial(average_kinds, COUNTED, _MEASURES[name]), note=_R_NOTE if is_last else "")
            for name, is_last in (("R (255)", False), ("R (1)", True))
        ),
        Figure("N-acc", "N-acc", partial(measure_kind, NO_TARGET, measure_emptiness)),
    )

    @property
    def open_judge(self) -> OpenJudge:
        """Expressions are judged one by one, long videos part by part."""
        return partial(open_in_parts, judge=RevosJudge)

    def weigh(self, videos: Sequence[Video]) -> Values:
        """Every kind that counts has the same weight."""
        return weigh_kinds(COUNTED, [one.kind for video in videos for one in self.dataset.scored(video).expressions])

    def average(self, values: Values, videos: Sequence[Video]) -> Values:
        """Return J and F from means over frames, which are rounded as `RevosScore` does."""
        return super().average(np.round(100 * values, 2) / 100, videos)

    def measure_further(self, scores: Scores) -> dict[str, float]:
        """Return everything by kind, A, R over all sentences, and what the sentences without target are answered by."""
        found: dict[str, float | None] = {}
        for kind in COUNTED:
            found |= {f"{kind} {name}": measure_kind(kind, measure, scores) for name, measure in _MEASURES.items()}
        for name, measure in _MEASURES.items():
            found[f"overall {name}"] = average_kinds(COUNTED, measure, scores)
            found[f"sentences {name}"] = measure_all(COUNTED, measure, scores)
        found["no target empty frames"] = measure_kind(NO_TARGET, measure_j, scores)
        return {name: value for name, value in found.items() if value is not None}

    def describe_official(self, scores: Sequence[ExpressionScore]) -> tuple[str, ...]:
        """A sentence that lacks one mask counts 0 there as a whole."""
        lacking = [one for one in scores if one.missing]
        if all(len(one.missing) == len(one.frames) for one in lacking):
            return ()
        printed = self.measure([one.as_missing() if one.missing else one for one in scores])
        return (
            f"gives 0 to each of {count(len(lacking), 'sentence')} with a missing mask, first {lacking[0].video}/"
            f"{lacking[0].expression}: J {100 * printed['J']:.2f}, F {100 * printed['F']:.2f}, "
            f"J&F {100 * printed['J&F']:.2f}, R (255) {100 * printed['R (255)']:.2f}",
        )
