"""Ref-DAVIS17: index maps of all objects, four sets of them, scored as DAVIS does.

Source: evaluation.md, section 3, Ref-DAVIS17 in detail.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from rvos.dataset import VideoTruth
from rvos.errors import InputError
from rvos.evaluation.evaluator import Evaluator, OpenJudge
from rvos.evaluation.expressions import ExpressionJudge
from rvos.evaluation.figures.base import Figure
from rvos.evaluation.figures.j_and_f import J_AND_F, F, J
from rvos.evaluation.measures import outline, score, summarise
from rvos.evaluation.outlines import Outlines
from rvos.evaluation.predictions import read_maps, read_predicted
from rvos.evaluation.results import DatasetScore, ExpressionScore
from rvos.evaluation.truth import VOID, IndexTruth
from rvos.files.trees import Tree, open_tree
from rvos.masks.index_maps import N_ANNOTATORS, merge_by_annotator, to_probabilities
from rvos.masks.mask_sequences import MaskSequence
from rvos.settings.problems import count
from rvos.videos import Video

_UNSUPERVISED, _SEMI_SUPERVISED = "unsupervised", "semi-supervised"
_MOST_OBJECTS = 20
_FEWEST_FRAMES = 3

Maps = NDArray[np.uint8]
Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


class DavisEvaluator(Evaluator):
    """The mean over the four annotation files of the mean over objects.

    `unsupervised` matches predicted to annotated objects and leaves void out; `semi-supervised` takes indices as they
    are, counts void as background and drops the first and last frame.
    """

    figures: ClassVar[tuple[Figure, ...]] = (J, F, J_AND_F)
    tasks: ClassVar[tuple[str, ...]] = (_UNSUPERVISED, _SEMI_SUPERVISED)
    reads_soft: ClassVar[bool] = True  # they decide where masks of objects overlap
    scores_alone: ClassVar[bool] = False

    @property
    def open_judge(self) -> OpenJudge:
        """Objects are judged, each as the four annotation files describe it."""
        return partial(DavisJudge, task=self.task)

    @property
    def open_alone(self) -> OpenJudge:
        """Expressions, though the protocol knows objects."""
        return ExpressionJudge

    def find_obstacle(self, video: Video) -> str | None:
        """Return why a video has no score: too few frames for the semi-supervised task."""
        if self.task == _SEMI_SUPERVISED and video.n_frames < _FEWEST_FRAMES:
            return f"{count(video.n_frames, 'frame')}, none is left without the first and the last"
        return None

    def open_predictions(self, predictions: Path) -> tuple[Tree, tuple[str, ...]]:
        """Return the predictions, whose form is seen video by video."""
        return open_tree(predictions), ()

    def evaluate(self) -> DatasetScore:
        """Return the means; the scores of an annotation file stand together."""
        self.scores.sort(key=_name_file)
        return super().evaluate()

    def measure_further(self, scores: Sequence[ExpressionScore]) -> dict[str, float]:
        """Return the statistics of each annotation file."""
        figures: dict[str, float] = {}
        for name, own in groupby(scores, key=_name_file):
            objects = list(own)
            for unit, values in (("J", [one.j for one in objects]), ("F", [one.f for one in objects])):
                statistics = [summarise(one) for one in values]
                figures[f"{name}/{unit}-Mean"] = float(np.mean([one.mean for one in statistics]))
                figures[f"{name}/{unit}-Recall"] = float(np.mean([one.recall for one in statistics]))
                figures[f"{name}/{unit}-Decay"] = float(np.mean([one.decay for one in statistics]))
            figures[f"{name}/J&F-Mean"] = (figures[f"{name}/J-Mean"] + figures[f"{name}/F-Mean"]) / 2
        return figures


def _name_file(score: ExpressionScore) -> str:
    return score.expression.partition("/")[0]


class DavisJudge:
    """Annotated objects of one video, traced once. Raises InputError: the ground truth is no index maps."""

    def __init__(self, video: Video, truth: VideoTruth, *, task: str) -> None:
        if not isinstance(truth, IndexTruth):
            raise InputError(f"{video.id}: Ref-DAVIS17 is scored on index maps; add Annotations_unsupervised/480p")
        maps = truth.maps
        self._video = video
        self._task = task
        self._size = (maps.shape[1], maps.shape[2])
        self._kept = slice(None) if task == _UNSUPERVISED else slice(1, -1)
        self._void = (maps == VOID)[self._kept] if task == _UNSUPERVISED else None
        objects = np.where(maps == VOID, 0, maps).astype(np.uint8)
        self._traced = _trace_objects(objects[self._kept], int(objects[0].max()), self._void)

    def judge(self, sequences: Sequence[MaskSequence]) -> list[ExpressionScore]:
        """Return the scores of every object, annotation file after annotation file, merged as an archive has them."""
        for sequence in sequences:
            sequence.check_fits(self._video, self._size, advice="make the masks again")
        probabilities = {sequence.expression: to_probabilities(sequence) for sequence in sequences}
        return self._judge([(maps, ()) for maps in merge_by_annotator(self._video, probabilities)])

    def judge_files(self, predictions: Tree) -> list[ExpressionScore]:
        """Return the scores of every object, annotation file after annotation file.

        Args:
            predictions: `anno_0` to `anno_3`, or `<video>/<expression>/<frame>.png`, which is merged first: where masks
                overlap, the object that comes first keeps the pixel.
        """
        return self._judge(_read_files(predictions, self._video, self._size))

    def _judge(self, files: Sequence[tuple[Maps, Sequence[str]]]) -> list[ExpressionScore]:
        """Return the scores of the index maps `(T, H, W)` of each annotation file, beside the frames without a file."""
        frames = self._video.frames[self._kept]
        results = []
        for number, (maps, lacking) in enumerate(files):
            where = f"anno_{number}/{self._video.id}"
            n_predicted = _count_predicted(maps, len(self._traced), self._task, where=where)
            predicted = _trace_objects(maps[self._kept], n_predicted, self._void)
            missing = tuple(frame for frame in lacking if frame in frames)
            absent = np.isin(frames, missing)
            if self._task == _UNSUPERVISED:
                pairs = _match(self._traced, predicted)
            else:
                pairs = [score(one, other) for one, other in zip(self._traced, predicted, strict=True)]
            for index, pair in enumerate(pairs, start=1):
                j, f = (np.where(absent, 0.0, values) for values in pair)
                name = f"anno_{number}/{index}"
                results.append(ExpressionScore(self._video.id, name, (str(index),), frames, j, f, missing))
        return results


def _trace_objects(maps: Maps, n_objects: int, void: NDArray[np.bool_] | None) -> list[tuple[Outlines, ...]]:
    return [outline(maps == index, void) for index in range(1, n_objects + 1)]


def _count_predicted(maps: Maps, n_objects: int, task: str, *, where: str) -> int:
    """Return how many objects to trace, missing ones as empty. Raises InputError: more than are allowed."""
    found = int(maps.max(initial=0))
    most = max(_MOST_OBJECTS, n_objects) if task == _UNSUPERVISED else n_objects
    if found > most:
        raise InputError(f"{where}: object index {found}, at most {most} allowed; write objects as 1, 2, ...")
    return max(found, n_objects)


def _match(truth: Sequence[tuple[Outlines, ...]], predicted: Sequence[tuple[Outlines, ...]]) -> list[Pair]:
    """Return the pairs that maximise the mean over frames of (J + F) / 2, in the order of the ground truth."""
    from scipy.optimize import linear_sum_assignment  # slow to import, and only this protocol needs it

    pairs = [[score(one, other) for other in predicted] for one in truth]
    gains = np.array([[float(np.mean((j + f) / 2)) for j, f in row] for row in pairs]).reshape(len(truth), -1)
    rows, columns = linear_sum_assignment(-gains)
    return [pairs[row][column] for row, column in zip(rows, columns, strict=True)]


def _read_files(predictions: Tree, video: Video, size: tuple[int, int]) -> list[tuple[Maps, Sequence[str]]]:
    """Return the predicted index maps of the four annotation files, each with the frames that it lacks."""
    if any(predictions.is_folder(f"anno_{number}") for number in range(N_ANNOTATORS)):
        folders = [predictions.below(f"anno_{number}").below(video.id) for number in range(N_ANNOTATORS)]
        return [read_maps(folder, video, size) for folder in folders]
    below = predictions.below("Annotations") if predictions.is_folder("Annotations") else predictions
    if not below.is_folder(video.id):
        raise InputError(f"{predictions.name}: neither anno_0 ... anno_3 nor {video.id}; check the folder")
    read = {expression.id: read_predicted(below, video, expression, size) for expression in video.expressions}
    maps = merge_by_annotator(video, {name: one.masks.astype(np.float32) for name, one in read.items()})
    missing = tuple(sorted({frame for one in read.values() for frame in one.missing}))
    return [(one, missing) for one in maps]
