"""Average precision of masks by the COCO evaluation of pycocotools: every sample is an image with one annotation.

Source: A2D and JHMDB specification, measures.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from rvos.masks.mask_sequences import MaskSequence

_CLASS = 1


@dataclass(frozen=True, slots=True)
class Detection:
    """A mask offered for a sample: COCO compressed run lengths of the truth's size, and a score, higher is better."""

    counts: bytes
    score: float


def list_detections(sequence: MaskSequence, frame: int) -> tuple[Detection, ...]:
    """Return what a sequence offers in a frame: the masks of all queries where they were kept, else its one mask."""
    queries = sequence.queries
    if queries is None or queries.frame != frame:
        return (Detection(sequence.runs[frame], float(sequence.scores[frame])),)
    return tuple(Detection(*one) for one in zip(queries.runs, queries.scores.tolist(), strict=True))


def choose_best(detections: Sequence[Detection]) -> Detection | None:
    """Return the best-scored detection: the last of an ascending stable sort; None without any."""
    order = np.argsort([one.score for one in detections], kind="stable")
    return detections[int(order[-1])] if detections else None


@dataclass(frozen=True, slots=True)
class Sample:
    """One sentence in one frame: size (H, W), truth as COCO compressed run lengths, and any number of detections."""

    size: tuple[int, int]
    truth: bytes
    detections: tuple[Detection, ...]

    def take_best(self) -> Sample:
        """Return the sample with its best-scored detection alone."""
        best = choose_best(self.detections)
        return replace(self, detections=() if best is None else (best,))


def measure_precision(samples: Sequence[Sample]) -> tuple[float, float]:
    """Return COCO's AP (IoU 0.5 to 0.95, all areas, 100 detections) and AP50 of at least one sample, in [0, 1]."""
    evaluation = _evaluate(samples)
    with contextlib.redirect_stdout(io.StringIO()):
        evaluation.accumulate()
        evaluation.summarize()
    return float(evaluation.stats[0]), float(evaluation.stats[1])


def resample_precision(samples: Sequence[Sample], draws: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return COCO's AP of samples that are drawn with replacement.

    Args:
        draws: `(D, N)`, in each row the places of N samples.

    Returns:
        `(D,)`. The masks of a sample are matched once, for all draws.
    """
    evaluation = _evaluate(samples, areas=1)
    matched = evaluation.evalImgs
    values = []
    for draw in draws.tolist():
        evaluation.evalImgs = [matched[place] for place in draw]
        with contextlib.redirect_stdout(io.StringIO()):
            evaluation.accumulate()
        precision = evaluation.eval["precision"]
        values.append(float(precision[..., 0, -1].mean()))
    return np.array(values)


def _evaluate(samples: Sequence[Sample], *, areas: int | None = None) -> Any:
    """Return pycocotools' evaluation, its masks matched; `areas`: only the first of its ranges of area."""
    truth = [_annotate(image, sample.size, sample.truth) for image, sample in enumerate(samples, start=1)]
    found = [
        _annotate(image, sample.size, one.counts) | {"score": one.score}
        for image, sample in enumerate(samples, start=1)
        for one in sample.detections
    ]
    with contextlib.redirect_stdout(io.StringIO()):  # it prints as it goes
        evaluation = COCOeval(_index(truth, samples), _index(found, samples), "segm")
        evaluation.params.areaRng = evaluation.params.areaRng[:areas]
        evaluation.params.areaRngLbl = evaluation.params.areaRngLbl[:areas]
        evaluation.evaluate()
    return evaluation


def _index(annotations: Sequence[dict[str, Any]], samples: Sequence[Sample]) -> COCO:
    """Return annotations in COCO's form; their numbers start at 1, as its matching takes 0 for "none"."""
    images = [
        {"id": number, "height": sample.size[0], "width": sample.size[1]}
        for number, sample in enumerate(samples, start=1)
    ]
    numbered = [{"id": number, **one} for number, one in enumerate(annotations, start=1)]
    coco = COCO()
    coco.dataset = {"images": images, "annotations": numbered, "categories": [{"id": _CLASS}]}
    coco.createIndex()
    return coco


def _annotate(image: int, size: tuple[int, int], counts: bytes) -> dict[str, Any]:
    mask = {"size": list(size), "counts": counts}
    return {
        "image_id": image,
        "category_id": _CLASS,
        "segmentation": mask,
        "area": float(coco_mask.area(mask)),
        "iscrowd": 0,
    }
