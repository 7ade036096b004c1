"""MOSEv2: objects that are given in the first frame, what is made of them after it, absent and returned ones apart.

Source: specification of the data sets of 2026, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from rvos.dataset import VideoTruth
from rvos.evaluation.evaluator import Evaluator, OpenJudge
from rvos.evaluation.figures.base import Figure, Scores
from rvos.evaluation.figures.j_and_f import J_AND_F, F, J
from rvos.evaluation.mosev2 import average_runs, find_absences, find_returns, score_object
from rvos.evaluation.predictions import check_some, read_maps
from rvos.evaluation.results import ExpressionScore
from rvos.files.trees import Tree, open_masks
from rvos.masks.index_maps import read_index
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.videos import Expression, Video

FEWEST_FRAMES = 3
Pair = tuple[float, float] | None


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MoseScore(ExpressionScore):
    """An object from the second to the last but one frame.

    Args:
        f_dot: `(T,)`, F within a distance that follows the object's size.
        absent, returned: mean J and Fdot over runs of frames without the object, or with it anew; None: no such run.
    """

    f_dot: NDArray[np.float64]
    absent: Pair = None
    returned: Pair = None

    @property
    def f_dot_mean(self) -> float:
        """Mean Fdot over the frames."""
        return float(self.f_dot.mean())

    def condense(self) -> Self:
        """Return the score with its means in place of the frames."""
        return replace(ExpressionScore.condense(self), f_dot=np.array([self.f_dot_mean]))

    def as_missing(self) -> Self:
        """Return the score of an object that nobody followed: it is in no mean over runs."""
        zeros = np.zeros_like(self.f_dot)
        return replace(ExpressionScore.as_missing(self), f_dot=zeros, absent=None, returned=None)


class MoseJudge:
    """Ground truth of a video."""

    def __init__(self, video: Video, truth: VideoTruth) -> None:
        self._whole, self._truth = video, truth
        self._video = video.take(range(1, video.n_frames - 1))

    def judge(self, sequences: Sequence[MaskSequence]) -> list[ExpressionScore]:
        """Return the scores of sequences, by object; InputError for other frames or size."""
        found = by_expression(sequences)
        scores: list[ExpressionScore] = []
        for one in self._video.expressions:
            sequence = found.get(one.id)
            if sequence is None:
                scores.append(self._score(one, None, self._video.frames))
                continue
            sequence.check_fits(self._whole, self._truth.size, advice="make the masks again")
            scores.append(self._score(one, sequence.masks()[1:-1], ()))
        return scores

    def judge_files(self, predictions: Tree) -> list[ExpressionScore]:
        """Return the scores of index maps `<video>/<frame>.png`; a missing one counts 0."""
        size = self._truth.size
        assert size is not None
        maps, missing = read_maps(predictions.below(self._video.id), self._video, size)
        return [
            self._score(one, maps == read_index(one.id, where=self._video.id), missing)
            for one in self._video.expressions
        ]

    def _score(self, one: Expression, masks: NDArray[np.bool_] | None, missing: tuple[str, ...]) -> MoseScore:
        truth = self._truth.masks(one)[1:-1]
        masks = np.zeros_like(truth) if masks is None else masks
        found = score_object(truth, masks)
        absent = np.isin(self._video.frames, missing)
        j, f, f_dot = (np.where(absent, 0.0, values) for values in (found.j, found.f, found.f_dot))
        runs = [
            (average_runs(j, own), average_runs(f_dot, own))
            for own in (find_absences(found.shown), find_returns(found.shown))
        ]
        pairs = [None if first is None or second is None else (first, second) for first, second in runs]
        score = MoseScore(
            self._video.id,
            one.id,
            one.object_ids,
            self._video.frames,
            j,
            f,
            missing,
            is_empty=not masks.any(),
            f_dot=f_dot,
            absent=pairs[0],
            returned=pairs[1],
        )
        return score.as_missing() if absent.all() else score


def take_mose(scores: Scores) -> list[MoseScore]:
    """Return the scores of objects of MOSEv2."""
    return [score for score in scores if isinstance(score, MoseScore)]


def measure_f_dot(scores: Scores) -> float:
    """Return the mean Fdot."""
    return float(np.mean([score.f_dot_mean for score in take_mose(scores)]))


def measure_j_and_f_dot(scores: Scores) -> float:
    """Return (J + Fdot) / 2."""
    return (float(np.mean([score.j_mean for score in scores])) + measure_f_dot(scores)) / 2


def measure_runs(take: Callable[[MoseScore], Pair], scores: Scores) -> float | None:
    """Return (J + Fdot) / 2 over the objects that have such runs; None without any."""
    pairs = [pair for score in take_mose(scores) if (pair := take(score)) is not None]
    return float(np.mean(pairs, axis=0).mean()) if pairs else None


class MoseEvaluator(Evaluator):
    """Means over objects; what is ranked is J&Fdot."""

    figures: ClassVar[tuple[Figure, ...]] = (
        Figure("J&Fdot", "J&Fdot", measure_j_and_f_dot, note="Fdot: F within a distance by the object's size"),
        J,
        Figure("Fdot", "Fdot", measure_f_dot),
        Figure("disappearance", "absent", partial(measure_runs, lambda score: score.absent)),
        Figure("reappearance", "returned", partial(measure_runs, lambda score: score.returned)),
        F,
        J_AND_F,
    )
    unit: ClassVar[str] = "objects"

    @property
    def open_judge(self) -> OpenJudge:
        """Objects are judged one by one."""
        return MoseJudge

    def find_obstacle(self, video: Video) -> str | None:
        """The first and the last frame do not count."""
        return None if video.n_frames >= FEWEST_FRAMES else "no frame between the first and the last"

    def open_predictions(self, predictions: Path) -> tuple[Tree, tuple[str, ...]]:
        """Return a folder or archive of index maps, and the videos in it that are none of the split."""
        tree, known = open_masks(predictions), {video.id for video in self.dataset.videos}
        check_some(tree, self.dataset.videos)
        return tree, tuple(f"{name}: not in this split" for name in tree.children() if name not in known)

    def describe_official(self, scores: Sequence[ExpressionScore]) -> tuple[str, ...]:
        """A missing frame ends the official scorer; a missing video does not."""
        cut = next((one for one in scores if 0 < len(one.missing) < len(one.frames)), None)
        return () if cut is None else (f"stops at {cut.video}: no map of frame {cut.missing[0]}",)
