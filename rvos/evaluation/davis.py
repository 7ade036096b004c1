"""Ref-DAVIS17: index maps of all objects, four sets of them, scored as DAVIS does.

Source: evaluation specification, section 3, Ref-DAVIS17 in detail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from rvos.datasets.dataset import Dataset, IndexReader
from rvos.datasets.ref_davis17 import N_ANNOTATORS
from rvos.datasets.truth import VOID, read_index_maps
from rvos.errors import InputError
from rvos.evaluation.measures import Statistics, outline, score, summarise
from rvos.evaluation.outlines import Outlines
from rvos.evaluation.predictions import read_predicted
from rvos.evaluation.results import DatasetScore, ExpressionScore
from rvos.index_maps import merge_by_annotator
from rvos.mask_images import check_size, decode_index_map
from rvos.trees import Tree, open_tree
from rvos.videos import Video

Task = Literal["unsupervised", "semi-supervised"]
_MOST_OBJECTS = 20
_UNITS = ("J", "F")

Maps = NDArray[np.uint8]
Pair = tuple[NDArray[np.float64], NDArray[np.float64]]


@dataclass(frozen=True, slots=True, eq=False)
class AnnotatedMaps:
    """Predicted index maps `(T, H, W)` of one annotation file, and the frames without a file."""

    maps: Maps
    missing: tuple[str, ...] = ()


def score_ref_davis(dataset: Dataset, predictions: Path, *, task: Task = "unsupervised", jobs: int = 1) -> DatasetScore:
    """Return the mean over the four annotation files of the mean over objects.

    Args:
        predictions: folder or archive with `anno_0` to `anno_3`, or with `<video>/<expression>/<frame>.png`, which is
            merged first: where masks overlap, the object that comes first keeps the pixel.
        task: `unsupervised` matches predicted to annotated objects and leaves void out; `semi-supervised` takes
            indices as they are, counts void as background and drops the first and last frame.

    Raises:
        InputError: no ground truth, or predictions that cannot be used.
    """
    if not isinstance(dataset.truth, IndexReader):
        dataset.select_truth(dataset.videos[0])
        raise InputError(f"{dataset.root}: Ref-DAVIS17 is scored on index maps; add Annotations_unsupervised/480p")
    tree = open_tree(predictions)
    annotations = dataset.truth.annotations
    tasks = (delayed(_score_video)(video, annotations, tree, task) for video in dataset.videos)
    rows = Parallel(n_jobs=jobs)(tasks)
    files = [[one for video in rows for one in video[number]] for number in range(N_ANNOTATORS)]
    return _summarise_files(files)


def _summarise_files(files: Sequence[Sequence[ExpressionScore]]) -> DatasetScore:
    extra: dict[str, float] = {}
    for number, scores in enumerate(files):
        for unit, values in (("J", [one.j for one in scores]), ("F", [one.f for one in scores])):
            for name, value in _average_statistics([summarise(one) for one in values]).items():
                extra[f"anno_{number}/{unit}-{name}"] = value
        extra[f"anno_{number}/J&F-Mean"] = (extra[f"anno_{number}/J-Mean"] + extra[f"anno_{number}/F-Mean"]) / 2
    j, f = (float(np.mean([extra[f"anno_{number}/{unit}-Mean"] for number in range(len(files))])) for unit in _UNITS)
    return DatasetScore("ref-davis17", j, f, tuple(one for scores in files for one in scores), extra)


def _average_statistics(objects: Sequence[Statistics]) -> dict[str, float]:
    return {
        "Mean": float(np.mean([one.mean for one in objects])),
        "Recall": float(np.mean([one.recall for one in objects])),
        "Decay": float(np.mean([one.decay for one in objects])),
    }


def _score_video(video: Video, annotations: Tree, predictions: Tree, task: Task) -> list[list[ExpressionScore]]:
    """Return the scores of every object, for each annotation file."""
    truth = read_index_maps(annotations, video).maps
    files = _read_files(predictions, video, truth.shape)
    void = truth == VOID if task == "unsupervised" else None
    objects = np.where(truth == VOID, 0, truth).astype(np.uint8)
    kept = slice(None) if task == "unsupervised" else slice(1, -1)
    frames = video.frames[kept]
    traced = _trace_objects(objects[kept], int(objects[0].max()), None if void is None else void[kept])
    results = []
    for number, file in enumerate(files):
        n_predicted = _count_predicted(file.maps, len(traced), task, where=f"anno_{number}/{video.id}")
        predicted = _trace_objects(file.maps[kept], n_predicted, None if void is None else void[kept])
        pairs = _match(traced, predicted) if task == "unsupervised" else _take_in_order(traced, predicted)
        lost = replace(file, missing=tuple(frame for frame in file.missing if frame in frames))
        results.append(
            [_name_score(video, number, index, pair, frames, lost.missing) for index, pair in enumerate(pairs)]
        )
    return results


def _name_score(
    video: Video, file: int, index: int, pair: Pair, frames: tuple[str, ...], missing: tuple[str, ...]
) -> ExpressionScore:
    absent = np.isin(frames, missing)
    j, f = (np.where(absent, 0.0, values) for values in pair)
    return ExpressionScore(video.id, f"anno_{file}/{index + 1}", (str(index + 1),), frames, j, f, missing)


def _trace_objects(maps: Maps, n_objects: int, void: NDArray[np.bool_] | None) -> list[tuple[Outlines, ...]]:
    return [outline(maps == index, void) for index in range(1, n_objects + 1)]


def _count_predicted(maps: Maps, n_objects: int, task: Task, *, where: str) -> int:
    """Return how many objects to trace: missing ones are empty.

    Raises:
        InputError: more indices than the protocol allows.
    """
    found = int(maps.max(initial=0))
    most = max(_MOST_OBJECTS, n_objects) if task == "unsupervised" else n_objects
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


def _take_in_order(truth: Sequence[tuple[Outlines, ...]], predicted: Sequence[tuple[Outlines, ...]]) -> list[Pair]:
    return [score(one, other) for one, other in zip(truth, predicted, strict=True)]


def _read_files(predictions: Tree, video: Video, shape: tuple[int, ...]) -> list[AnnotatedMaps]:
    """Return the predicted index maps of the four annotation files."""
    size = (shape[1], shape[2])
    if any(predictions.is_folder(f"anno_{number}") for number in range(N_ANNOTATORS)):
        folders = [predictions.below(f"anno_{number}").below(video.id) for number in range(N_ANNOTATORS)]
        return [_read_maps(folder, video, size) for folder in folders]
    below = predictions.below("Annotations") if predictions.is_folder("Annotations") else predictions
    if not below.is_folder(video.id):
        raise InputError(f"{predictions.name}: neither anno_0 ... anno_3 nor {video.id}; check the folder")
    read = {expression.id: read_predicted(below, video, expression, size) for expression in video.expressions}
    maps = merge_by_annotator(video, {name: one.masks.astype(np.float32) for name, one in read.items()})
    missing = tuple(sorted({frame for one in read.values() for frame in one.missing}))
    return [AnnotatedMaps(one, missing) for one in maps]


def _read_maps(folder: Tree, video: Video, size: tuple[int, int]) -> AnnotatedMaps:
    maps = np.zeros((video.n_frames, *size), np.uint8)
    missing = []
    present = set(folder.children())
    for index, frame in enumerate(video.frames):
        if f"{frame}.png" not in present:
            missing.append(frame)
            continue
        where = f"{folder.name}/{frame}.png"
        values = decode_index_map(folder.read(f"{frame}.png"), where=where)
        check_size(values.shape, size, where=where)
        maps[index] = values
    return AnnotatedMaps(maps, tuple(missing))
