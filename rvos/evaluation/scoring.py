"""Score prediction files against a data set, in the protocol of its format, one task a video."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from joblib import Parallel, delayed

from rvos.errors import InputError
from rvos.evaluation.coco_results import find_results, read_results
from rvos.evaluation.davis import DavisEvaluator, Task
from rvos.evaluation.evaluator import Evaluator, SelectedTruth
from rvos.evaluation.expressions import ExpressionEvaluator
from rvos.evaluation.predictions import find_strays
from rvos.evaluation.results import DatasetScore, ExpressionScore
from rvos.evaluation.samples import SampleEvaluator
from rvos.files.trees import Tree, open_masks, open_tree
from rvos.formats.dataset import Dataset
from rvos.masks.mask_images import check_size
from rvos.videos import Video

_EVALUATORS: Mapping[str, Callable[[Dataset, Task], Evaluator]] = {
    "ref-youtube-vos": lambda dataset, task: ExpressionEvaluator(dataset),
    "mevis": lambda dataset, task: ExpressionEvaluator(dataset),
    "ref-davis17": DavisEvaluator,
    "a2d-sentences": lambda dataset, task: SampleEvaluator(dataset),
    "jhmdb-sentences": lambda dataset, task: SampleEvaluator(dataset),
}


def open_evaluator(dataset: Dataset, *, task: Task = "unsupervised") -> Evaluator:
    """Return the evaluator of a data set's format; `task` is that of Ref-DAVIS17."""
    return _EVALUATORS[dataset.format](dataset, task)


def score_dataset(dataset: Dataset, predictions: Path, *, task: Task = "unsupervised", jobs: int = 1) -> DatasetScore:
    """Return the scores of predictions in the protocol of the data set's format.

    Missing frames count 0 in J and F, whatever the ground truth shows. A video that the protocol cannot score is left
    out and named.

    Args:
        predictions: folder or zip archive, `<video>/<expression>/<frame>.png`, below `Annotations` or not; for
            Ref-DAVIS17 also `anno_0` to `anno_3`, for A2D- and JHMDB-Sentences also COCO results.
        task: of Ref-DAVIS17.
        jobs: worker processes.

    Raises:
        InputError: no ground truth, no prediction at all, or files that cannot be used.
    """
    evaluator = open_evaluator(dataset, task=task)
    obstacles = {video.id: evaluator.find_obstacle(video) for video in dataset.videos}
    videos = [video for video in dataset.videos if obstacles[video.id] is None]
    left_out = tuple(f"{name}: {reason}; left out" for name, reason in obstacles.items() if reason is not None)
    if left_out and not videos:
        raise InputError(f"{dataset.root}: no video can be scored: {left_out[0]}")
    if isinstance(evaluator, SampleEvaluator) and find_results(predictions):
        return _score_results(evaluator, predictions)
    tree, strays = _open(dataset, predictions)
    selected = [evaluator.select(video) for video in videos]
    for scores in Parallel(n_jobs=jobs)(delayed(_judge_files)(truth, tree) for truth in selected):
        evaluator.add(scores)
    return replace(evaluator.evaluate(), strays=left_out + strays)


def _score_results(evaluator: SampleEvaluator, predictions: Path) -> DatasetScore:
    """Return the scores of COCO results.

    Raises:
        InputError: a mask of another size than the truth, or no mask for any sample.
    """
    results = dict(read_results(predictions))
    for video in evaluator.dataset.videos:
        judge = evaluator.select(video).open()
        own = {one.id: results.pop((video.id, one.id), ()) for one in video.expressions}
        for expression, rows in own.items():
            for _, size in rows:
                check_size(size, judge.size(expression), where=f"{predictions}: {video.id}/{expression}")
        evaluator.add(judge.judge_detections({name: [one for one, _ in rows] for name, rows in own.items()}))
    if results and all(score.missing for score in evaluator.scores):
        raise InputError(
            f"{predictions}: no mask for any sample, found {'/'.join(next(iter(results)))}; check the split"
        )
    strays = tuple(f"{video}/{expression}: no sample of this split" for video, expression in results)
    return replace(evaluator.evaluate(), strays=strays)


def _judge_files(truth: SelectedTruth, predictions: Tree) -> list[ExpressionScore]:
    return truth.open().judge_files(predictions)


def _open(dataset: Dataset, predictions: Path) -> tuple[Tree, tuple[str, ...]]:
    """Return the predictions, and what lies among them and is not scored."""
    if dataset.format == "ref-davis17":
        return open_tree(predictions), ()
    tree = open_masks(predictions)
    check_some(tree, dataset.videos)
    return tree, find_strays(tree, dataset.videos)


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
