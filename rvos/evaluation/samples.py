"""A2D-Sentences and JHMDB-Sentences: mAP, precision at five IoUs, overall and mean IoU of single frames.

Source: A2D and JHMDB specification, measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from rvos.evaluation.average_precision import Detection, Sample, measure_precision
from rvos.evaluation.evaluator import Evaluator
from rvos.evaluation.predictions import read_predicted
from rvos.evaluation.results import DatasetScore, ExpressionScore
from rvos.files.trees import Tree
from rvos.formats.dataset import Dataset
from rvos.formats.samples import SampleSource, SampleTruth
from rvos.masks.mask_sequences import MaskSequence, encode
from rvos.masks.runs import Runs, intersect
from rvos.videos import Expression, Video

THRESHOLDS = (0.5, 0.6, 0.7, 0.8, 0.9)
_SMOOTHING = 1e-6


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


def choose_best(detections: Sequence[Detection]) -> Detection | None:
    """Return the best-scored detection: the last of an ascending stable sort; None without any."""
    order = np.argsort([one.score for one in detections], kind="stable")
    return detections[int(order[-1])] if detections else None


def measure_samples(scores: Sequence[SampleScore]) -> dict[str, float]:
    """Return the figures that are published for A2D and JHMDB, in [0, 1], of at least one sample."""
    ap, ap50 = measure_precision([one.sample for one in scores])
    ious = np.array([one.iou for one in scores])
    unions = sum(one.union for one in scores)
    figures = {"mAP": ap, "AP50": ap50}
    figures |= {f"P@{limit}": float((ious > limit).mean()) for limit in THRESHOLDS}
    figures["overall IoU"] = sum(one.intersection for one in scores) / unions if unions else 1.0
    return figures | {"mean IoU": float(ious.mean())}


class SampleJudge:
    """The annotated frame of a window with its masks."""

    def __init__(self, video: Video, truth: SampleTruth, annotated: int) -> None:
        self._video, self._truth, self._annotated = video, truth, annotated

    def size(self, expression: str) -> tuple[int, int]:
        """Return (H, W) of the truth of an expression of the video."""
        height, width = self._truth.mask(next(one for one in self._video.expressions if one.id == expression)).shape
        return height, width

    def judge(self, sequences: Sequence[MaskSequence]) -> list[ExpressionScore]:
        """Return the scores of mask sequences of the window: of each, the annotated frame is a detection.

        Raises:
            InputError: frames or sizes differ from the ground truth.
        """
        found: dict[str, list[Detection]] = {}
        for one in sequences:
            one.check_fits(self._video, self._truth.size, advice="make the masks again")
            score = float(one.scores[self._annotated])
            found[one.expression] = [Detection(one.runs[self._annotated], score)]
        return list(self.judge_detections(found))

    def judge_files(self, predictions: Tree) -> list[ExpressionScore]:
        """Return the scores of mask files of the annotated frame, all of which have the score 1."""
        found: dict[str, list[Detection]] = {}
        notes: dict[str, tuple[str, ...]] = {}
        frame = self._video.take([self._annotated])
        for expression in self._video.expressions:
            mask = self._truth.mask(expression)
            read = read_predicted(predictions, frame, expression, (mask.shape[0], mask.shape[1]))
            notes[expression.id] = read.notes
            if not read.missing:
                found[expression.id] = [Detection(encode(read.masks)[0], 1.0)]
        return list(self.judge_detections(found, notes))

    def judge_detections(
        self, found: Mapping[str, Sequence[Detection]], notes: Mapping[str, tuple[str, ...]] | None = None
    ) -> list[SampleScore]:
        """Return a score for every expression; one without a detection has 0.

        Args:
            found: by expression, masks of the size of the truth.
            notes: by expression, oddities of the files.
        """
        given = notes or {}
        return [
            self._judge(one, tuple(found.get(one.id, ())), given.get(one.id, ())) for one in self._video.expressions
        ]

    def _judge(self, expression: Expression, detections: tuple[Detection, ...], notes: tuple[str, ...]) -> SampleScore:
        mask = self._truth.mask(expression)
        size = (mask.shape[0], mask.shape[1])
        truth = Runs.from_masks(mask[None])
        best = choose_best(detections)
        chosen = Runs.decode([best.counts], size) if best else None
        intersection = intersect(truth, chosen) if chosen else 0
        union = truth.area() + (chosen.area() if chosen else 0) - intersection
        iou = (intersection + _SMOOTHING) / (union + _SMOOTHING) if best else 0.0
        frame = (self._video.frames[self._annotated],)
        return SampleScore(
            self._video.id,
            expression.id,
            expression.object_ids,
            frame,
            np.array([iou]),
            np.array([iou]),
            () if best else frame,
            is_empty=chosen is None or not chosen.area(),
            notes=notes,
            sample=Sample(size, truth.encode()[0], detections),
            intersection=intersection,
            union=union,
        )


@dataclass(frozen=True, slots=True)
class AnnotatedFrame:
    """The ground truth of one window, unread."""

    video: Video
    source: SampleSource

    def open(self) -> SampleJudge:
        """Read the masks."""
        return SampleJudge(self.video, self.source.read(), self.source.annotated)


class SampleEvaluator(Evaluator):
    """Figures over all samples."""

    def __init__(self, dataset: Dataset) -> None:
        super().__init__(dataset)

    def select(self, video: Video) -> AnnotatedFrame:
        """Return the ground truth of a window, unread."""
        return AnnotatedFrame(video, cast(SampleSource, self.dataset.select_truth(video)))

    def summarise(self) -> DatasetScore:
        """Return the figures."""
        scores = [one for one in self.scores if isinstance(one, SampleScore)]
        figures = measure_samples(scores)
        mean = figures["mean IoU"]
        return DatasetScore(self.dataset.format, mean, mean, tuple(scores), figures)
