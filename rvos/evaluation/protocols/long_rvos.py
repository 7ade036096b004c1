"""Long-RVOS: J, F, and how well the frames with the object are found: tIoU and vIoU, over all sentences and by type.

Source: specification of the data sets of 2026, section 3.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar, Self

import numpy as np

from rvos.evaluation.evaluator import Evaluator, OpenJudge
from rvos.evaluation.expressions import ExpressionJudge
from rvos.evaluation.figures.base import Figure, Scores
from rvos.evaluation.figures.j_and_f import J_AND_F, F, J, measure_f, measure_j, measure_j_and_f
from rvos.evaluation.figures.kinds import measure_kind
from rvos.evaluation.parts import open_in_parts
from rvos.evaluation.results import ExpressionScore
from rvos.masks.runs import Runs
from rvos.settings import count
from rvos.videos import Expression

KINDS = ("static", "dynamic", "hybrid")


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class LongScore(ExpressionScore):
    """A sentence, and the frames that show its object.

    Args:
        n_both, n_either: frames with foreground in truth and prediction, or in one of them at least.
        overlap: sum of J over the frames with both.
    """

    n_both: int
    n_either: int
    overlap: float

    @property
    def t_iou(self) -> float:
        """IoU of the frames with foreground, 1 where neither has any."""
        return self.n_both / self.n_either if self.n_either else 1.0

    @property
    def v_iou(self) -> float:
        """Sum of J over the frames with both, by the frames with either; 1 where neither has any."""
        return self.overlap / self.n_either if self.n_either else 1.0

    def join(self, later: Self) -> Self:
        """Return the score of these frames and those of a score that follows."""
        return replace(
            ExpressionScore.join(self, later),
            n_both=self.n_both + later.n_both,
            n_either=self.n_either + later.n_either,
            overlap=self.overlap + later.overlap,
        )

    def as_missing(self) -> Self:
        """Return the score of a sentence that nobody answered."""
        return replace(ExpressionScore.as_missing(self), n_both=0, n_either=max(self.n_either, 1), overlap=0.0)


class LongJudge(ExpressionJudge):
    """Ground truth of a video; a frame without a file is one without foreground."""

    missing_is_empty: ClassVar[bool] = True

    def complete(self, expression: Expression, score: ExpressionScore, read: Callable[[], Runs]) -> LongScore:
        """Return the score with the frames that truth and prediction have."""
        truth = np.concatenate([part.area for part in self.trace(expression)]) > 0
        prediction = read().areas() > 0
        both = truth & prediction
        return LongScore(
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
            n_both=int(both.sum()),
            n_either=int((truth | prediction).sum()),
            overlap=float(score.j[both].sum()),
        )


def take_long(scores: Scores) -> list[LongScore]:
    """Return the scores of sentences of Long-RVOS."""
    return [score for score in scores if isinstance(score, LongScore)]


def measure_t_iou(scores: Scores) -> float:
    """Return the mean tIoU."""
    return float(np.mean([score.t_iou for score in take_long(scores)]))


def measure_v_iou(scores: Scores) -> float:
    """Return the mean vIoU."""
    return float(np.mean([score.v_iou for score in take_long(scores)]))


_MEASURES: dict[str, Callable[[Scores], float]] = {
    "J": measure_j,
    "F": measure_f,
    "J&F": measure_j_and_f,
    "tIoU": measure_t_iou,
    "vIoU": measure_v_iou,
}


class LongEvaluator(Evaluator):
    """Means over all sentences; those of each type beside them."""

    figures: ClassVar[tuple[Figure, ...]] = (
        *(J, F, J_AND_F),
        *(Figure(name, name, _MEASURES[name]) for name in ("tIoU", "vIoU")),
        *(Figure(f"J&F {kind}", kind, partial(measure_kind, kind, measure_j_and_f)) for kind in KINDS),
    )

    @property
    def open_judge(self) -> OpenJudge:
        """Expressions are judged one by one, long videos part by part."""
        return partial(open_in_parts, judge=LongJudge)

    def measure_further(self, scores: Scores) -> dict[str, float]:
        """Return everything by type."""
        found = {
            f"{kind} {name}": measure_kind(kind, measure, scores)
            for kind in KINDS
            for name, measure in _MEASURES.items()
        }
        return {name: value for name, value in found.items() if value is not None}

    def describe_official(self, scores: Sequence[ExpressionScore]) -> tuple[str, ...]:
        """A sentence without a first frame ends its worker, unless its whole video is missing."""
        answered = {score.video for score in scores if len(score.missing) < len(score.frames)}
        lost = [one for one in scores if one.video in answered and one.frames[0] in one.missing]
        if not lost:
            return ()
        kept = [one for one in scores if one not in lost]
        printed = ", ".join(f"{name} {100 * measure(kept):.2f}" for name, measure in _MEASURES.items()) if kept else "-"
        return (
            f"stops at each of {count(len(lost), 'sentence')} without a mask of its first frame, first "
            f"{lost[0].video}/{lost[0].expression}, and leaves it out: it prints {printed} over the other {len(kept)}",
        )
