"""Score a prediction folder or archive against a data set, one task a video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from rvos.datasets.dataset import Dataset, TruthSource
from rvos.datasets.truth import VideoTruth
from rvos.errors import InputError
from rvos.evaluation.measures import outline, score
from rvos.evaluation.outlines import Outlines
from rvos.evaluation.predictions import PredictedMasks, find_strays, open_predictions, read_predicted
from rvos.evaluation.results import DatasetScore, ExpressionScore, average, measure_targets
from rvos.mask_sequences import MaskSequence
from rvos.trees import Tree
from rvos.videos import Expression, Video

ReadMasks = Callable[[Expression, tuple[int, int]], PredictedMasks]


def score_dataset(dataset: Dataset, predictions: Path, *, jobs: int = 1) -> DatasetScore:
    """Return the scores of Ref-YouTube-VOS or MeViS predictions, averaged over expressions.

    Missing frames count 0 in J and F, whatever the ground truth shows.

    Args:
        predictions: folder or zip archive, `<video>/<expression>/<frame>.png`, below `Annotations` or not.
        jobs: worker processes.

    Raises:
        InputError: no ground truth, no prediction at all, or files that cannot be used.
    """
    tree = open_predictions(predictions)
    check_some(tree, dataset.videos)
    tasks = (delayed(score_video)(video, dataset.select_truth(video), tree) for video in dataset.videos)
    result = combine(Parallel(n_jobs=jobs)(tasks), format=dataset.format)
    return replace(result, strays=find_strays(tree, dataset.videos))


def combine(rows: Sequence[Sequence[ExpressionScore]], *, format: str) -> DatasetScore:
    """Return the means of scores by video, in the convention of a data set."""
    result = average([one for row in rows for one in row], format=format)
    if format != "mevis":
        return result
    return replace(result, extra=measure_targets(result.scores, j_and_f=result.j_and_f))


def check_some(predictions: Tree, videos: Sequence[Video]) -> None:
    """Check that there is a prediction for at least one video.

    Raises:
        InputError: none; it is most likely the wrong folder or split.
    """
    if not any(predictions.is_folder(video.id) for video in videos):
        found = ", ".join(predictions.children()[:3]) or "nothing"
        raise InputError(
            f"{predictions.name}: no folder for any of the {len(videos)} videos (found {found}); "
            "check the folder and the split"
        )


def score_video(video: Video, source: TruthSource, predictions: Tree) -> list[ExpressionScore]:
    """Return the scores of all expressions of a video whose predictions are files."""
    return score_expressions(
        video, source.read(), lambda expression, size: read_predicted(predictions, video, expression, size)
    )


def score_sequences(video: Video, source: TruthSource, sequences: Sequence[MaskSequence]) -> list[ExpressionScore]:
    """Return the scores of all expressions of a video whose predictions are mask sequences.

    Raises:
        InputError: frames or sizes that differ from the ground truth.
    """
    by_expression = {sequence.expression: sequence for sequence in sequences}

    def read(expression: Expression, size: tuple[int, int]) -> PredictedMasks:
        sequence = by_expression.get(expression.id)
        if sequence is None:
            return PredictedMasks(np.zeros((video.n_frames, *size), bool), video.frames)
        sequence.check_fits(video, size, advice="make the masks again")
        return PredictedMasks(sequence.masks(), ())

    return score_expressions(video, source.read(), read)


def score_expressions(video: Video, truth: VideoTruth, read: ReadMasks) -> list[ExpressionScore]:
    """Return the scores of all expressions; the contours of an object are traced once."""
    traced: dict[object, tuple[tuple[Outlines, ...], tuple[int, int]]] = {}
    results = []
    for expression in video.expressions:
        key = expression.object_ids or expression.id
        if key not in traced:
            masks = truth.masks(expression)
            traced[key] = outline(masks, truth.void), (masks.shape[1], masks.shape[2])
        contours, size = traced[key]
        results.append(_score_one(video, expression, contours, read(expression, size), truth.void))
    return results


def _score_one(
    video: Video,
    expression: Expression,
    truth: tuple[Outlines, ...],
    predicted: PredictedMasks,
    void: NDArray[np.bool_] | None,
) -> ExpressionScore:
    j, f = score(truth, outline(predicted.masks, void))
    absent = np.isin(video.frames, predicted.missing)
    return ExpressionScore(
        video.id,
        expression.id,
        expression.object_ids,
        video.frames,
        np.where(absent, 0.0, j),
        np.where(absent, 0.0, f),
        predicted.missing,
        has_target=any(chunk.area.any() for chunk in truth),
        is_empty=not predicted.masks.any(),
        notes=predicted.notes,
    )
