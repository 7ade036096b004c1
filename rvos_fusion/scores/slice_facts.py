"""What slices of scores are made by: of sentences, of the objects that they mean, and of their videos."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos.dataset import VideoTruth
from rvos.evaluation.parts import LARGEST_PART, PartedTruth
from rvos.formats import Dataset
from rvos.videos import Expression, Video
from rvos_fusion.planning.results import Results
from rvos_fusion.scores.scoring import ScoringTask, score_videos


@dataclass(frozen=True, slots=True)
class ObjectFacts:
    """What the ground truth says of what a sentence means.

    Args:
        size: mean share of the frame that it covers where it is there, in (0, 1]; None: it never is.
        speed: mean way of its centre between neighbouring frames, by the root of its area; None: in no two frames.
        presence: share of the frames that show it.
    """

    size: float | None
    speed: float | None
    presence: float


@dataclass(frozen=True, slots=True)
class SentenceFacts:
    """What a sentence can be sliced by.

    Args:
        n_alike: objects of the class of its first object in the video; None: the data do not tell.
        n_sentences: of the video about the same objects.
        seen: None without ground truth.
    """

    video: str
    expression: Expression
    n_frames: int
    n_alike: int | None
    n_sentences: int
    seen: ObjectFacts | None = None


def describe_sentences(
    dataset: Dataset, video: Video, seen: Sequence[ObjectFacts] | None = None
) -> list[SentenceFacts]:
    """Return what is known of the sentences of a video that can be scored; `seen` is what the truth says."""
    expressions = dataset.scored(video).expressions
    meant = Counter(one.object_ids or (one.id,) for one in expressions)
    classes = Counter(name for (where, _), name in dataset.categories.items() if where == video.id)
    facts: Sequence[ObjectFacts | None] = [None] * len(expressions) if seen is None else seen
    return [
        SentenceFacts(
            video.id,
            one,
            video.n_frames,
            classes[dataset.categories[video.id, one.object_ids[0]]]
            if one.object_ids and (video.id, one.object_ids[0]) in dataset.categories
            else None,
            meant[one.object_ids or (one.id,)],
            own,
        )
        for one, own in zip(expressions, facts, strict=True)
    ]


def look_at(video: Video, truth: VideoTruth) -> list[ObjectFacts]:
    """Return what the ground truth says of the sentences of a video, each object looked at once."""
    known: dict[object, ObjectFacts] = {}
    for one in video.expressions:
        key = one.object_ids or one.id
        if key not in known:
            known[key] = _look_at(one, truth, video)
    return [known[one.object_ids or one.id] for one in video.expressions]


def _look_at(expression: Expression, truth: VideoTruth, video: Video) -> ObjectFacts:
    places = list(range(video.n_frames) if video.annotated is None else video.annotated)
    step = max(1, LARGEST_PART // (truth.size[0] * truth.size[1])) if truth.size else len(places)
    if isinstance(truth, PartedTruth):
        parts = (places[start : start + step] for start in range(0, len(places), step))
        measured = [_measure(truth.take(part).masks(expression)) for part in parts]
    else:
        measured = [_measure(truth.masks(expression)[places])]
    shares, centres, areas = (np.concatenate(own) for own in zip(*measured, strict=True))
    shown = areas > 0
    both = shown[1:] & shown[:-1]
    ways = np.linalg.norm(centres[1:] - centres[:-1], axis=1)[both] / np.sqrt(areas[1:][both])
    return ObjectFacts(
        float(shares[shown].mean()) if shown.any() else None,
        float(ways.mean()) if both.any() else None,
        float(shown.mean()),
    )


def _measure(masks: NDArray[np.bool_]) -> tuple[NDArray[np.float64], ...]:
    """Return share of the frame `(T,)`, centre `(T, 2)` and area `(T,)` of masks; the centre of nothing is 0."""
    areas = masks.sum(axis=(1, 2)).astype(np.float64)
    rows, columns = masks.sum(axis=2), masks.sum(axis=1)
    centre = [side @ np.arange(side.shape[1]) / np.maximum(areas, 1) for side in (rows, columns)]
    return areas / max(masks[0].size, 1), np.stack(centre, axis=1), areas


def collect_facts(
    results: Results, dataset: Dataset, videos: Sequence[Video], *, with_truth: bool, jobs: int = 1
) -> list[SentenceFacts]:
    """Return what is known of every sentence, read from the ground truth only where that is asked for."""
    if not with_truth:
        return [one for video in videos for one in describe_sentences(dataset, video)]
    seen = score_videos(results, dataset, videos, _look_at_task, jobs=jobs)
    pairs = zip(videos, seen, strict=True)
    return [one for video, own in pairs for one in describe_sentences(dataset, video, own)]


def _look_at_task(task: ScoringTask) -> list[ObjectFacts]:
    return look_at(task.video, task.masks.read())
