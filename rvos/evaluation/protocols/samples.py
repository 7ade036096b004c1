"""A2D-Sentences and JHMDB-Sentences: masks of single frames, any number of them with scores for each sentence.

Source: A2D and JHMDB specification, measures.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from rvos.dataset import VideoTruth
from rvos.errors import InputError
from rvos.evaluation.average_precision import Detection, Sample, choose_best, list_detections
from rvos.evaluation.coco_results import find_results, read_results
from rvos.evaluation.evaluator import Evaluator, OpenJudge
from rvos.evaluation.figures.base import Figure
from rvos.evaluation.figures.samples import AVERAGE_PRECISIONS, MEAN_IOU, OVERALL_IOU, PRECISIONS
from rvos.evaluation.predictions import read_predicted
from rvos.evaluation.results import DatasetScore, ExpressionScore, SampleScore
from rvos.evaluation.truth import SampleTruth
from rvos.files.trees import Tree
from rvos.masks.mask_images import check_size
from rvos.masks.mask_sequences import MaskSequence, encode
from rvos.masks.runs import Runs, intersect
from rvos.videos import Expression, Video

_SMOOTHING = 1e-6


class SampleJudge:
    """The annotated frame of a window with its masks."""

    def __init__(self, video: Video, truth: SampleTruth, annotated: int) -> None:
        self._video, self._truth, self._annotated = video, truth, annotated

    def size(self, expression: str) -> tuple[int, int]:
        """Return (H, W) of the truth of an expression of the video."""
        height, width = self._truth.mask(next(one for one in self._video.expressions if one.id == expression)).shape
        return height, width

    def judge(self, sequences: Sequence[MaskSequence]) -> list[ExpressionScore]:
        """Return the scores of the annotated frame of sequences; InputError for other frames or sizes."""
        found: dict[str, Sequence[Detection]] = {}
        for one in sequences:
            one.check_fits(self._video, self._truth.size, advice="make the masks again")
            found[one.expression] = list_detections(one, self._annotated)
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
        """Return a score for every expression, 0 without a detection; what is found and noted is by expression."""
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


def open_window(video: Video, truth: VideoTruth) -> SampleJudge:
    """Return the judge of a window. Raises InputError: the ground truth is not that of a single frame."""
    if not isinstance(truth, SampleTruth):
        raise InputError(f"{video.id}: masks of whole videos, and the protocol scores a single annotated frame")
    return SampleJudge(video, truth, video.annotated_frame)


class SampleEvaluator(Evaluator):
    """Figures over all samples."""

    figures: ClassVar[tuple[Figure, ...]] = (*AVERAGE_PRECISIONS, *PRECISIONS, OVERALL_IOU, MEAN_IOU)
    unit: ClassVar[str] = "samples"

    @property
    def open_judge(self) -> OpenJudge:
        """Sentences are judged in the annotated frame."""
        return open_window

    def score(self, predictions: Path, *, jobs: int = 1) -> DatasetScore:
        """Return the scores of mask files, or of COCO results; InputError also where no mask is of any sample."""
        if not find_results(predictions):
            return super().score(predictions, jobs=jobs)
        results = dict(read_results(predictions))
        for video in self.dataset.videos:
            judge = open_window(video, self.dataset.read_truth(video))
            own = {one.id: results.pop((video.id, one.id), ()) for one in video.expressions}
            for expression, rows in own.items():
                for _, size in rows:
                    check_size(size, judge.size(expression), where=f"{predictions}: {video.id}/{expression}")
            self.scores += judge.judge_detections({name: [one for one, _ in rows] for name, rows in own.items()})
        if results and all(score.missing for score in self.scores):
            raise InputError(
                f"{predictions}: no mask for any sample, found {'/'.join(next(iter(results)))}; check the split"
            )
        strays = tuple(f"{video}/{expression}: no sample of this split" for video, expression in results)
        return replace(self.evaluate(), strays=strays)
