"""Masks in the form of YouTube-VIS, as other programs, and `import: rle`, read them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pycocotools import mask as coco

from rvos.masks.mask_sequences import MaskSequence

RUN_LENGTHS = "masks.json"
"""Its name in the folder of an export."""
_CATEGORY = {"id": 1, "name": "object"}


@dataclass(frozen=True, slots=True)
class VideoAnnotations:
    """A video's entry of the form, and one for each answered sentence; the numbers are given when all are together."""

    video: dict[str, Any]
    annotations: tuple[dict[str, Any], ...]


def describe_masks(sequences: Sequence[MaskSequence]) -> VideoAnnotations:
    """Return the entries of one video's sequences, at least one; those that abstain have none."""
    first = sequences[0]
    height, width = first.size
    files = [f"{first.video}/{frame}.jpg" for frame in first.frames]
    video = {"height": height, "width": width, "length": first.n_frames, "file_names": files}
    return VideoAnnotations(video, tuple(_describe(one) for one in sequences if not one.abstains))


def _describe(sequence: MaskSequence) -> dict[str, Any]:
    areas = sequence.as_runs().areas().tolist()
    size = list(sequence.size)
    shown = [
        {"size": size, "counts": runs.decode()} if area else None
        for runs, area in zip(sequence.runs, areas, strict=True)
    ]
    boxes = [None if one is None else coco.toBbox(one).tolist() for one in shown]
    details: dict[str, Any] = {"scores": sequence.scores.tolist()} if sequence.scored else {}
    if sequence.key_frame is not None:
        details["key_frame"] = sequence.key_frame
    return {
        "expression": sequence.expression,
        "category_id": _CATEGORY["id"],
        "iscrowd": 0,
        "segmentations": shown,
        "areas": [area or None for area in areas],
        "bboxes": boxes,
        **details,
    }


def write_annotations(found: Iterable[VideoAnnotations]) -> bytes:
    """Return the JSON of several videos, numbered from 1."""
    videos: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for one in found:
        videos.append({"id": len(videos) + 1, **one.video})
        for entry in one.annotations:
            annotations.append({"id": len(annotations) + 1, "video_id": len(videos), **entry})
    content = {"videos": videos, "categories": [_CATEGORY], "annotations": annotations}
    return json.dumps(content, separators=(",", ":")).encode()
