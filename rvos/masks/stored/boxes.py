"""Boxes with labels and scores by frame."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from rvos.masks.detections import FrameBoxes, VideoBoxes
from rvos.masks.stored.codec import Packed, ReadPart, read_array
from rvos.masks.stored.fields import check_video, read_frames, read_integer, read_texts, to_bytes
from rvos.settings.problems import count

_MOST_BOXES = 1 << 24


@dataclass(frozen=True, slots=True)
class BoxCodec:
    """The boxes of a video, N in all: parts `boxes` float32 `(N, 4)` and `scores` float32 `(N,)`, frame after frame.

    A label is stored as its place in the list of distinct labels, in the part `labels` (u4).
    """

    name: ClassVar[str] = "boxes"

    def pack(self, video: str, value: VideoBoxes) -> Packed:
        """Return what is stored of boxes."""
        check_video(value.video, video, what="boxes")
        nouns = sorted({label for frame in value.by_frame for label in frame.labels})
        places = {noun: place for place, noun in enumerate(nouns)}
        description = {
            "frames": list(value.frames),
            "size": list(value.size),
            "counts": [len(frame.labels) for frame in value.by_frame],
            "labels": nouns,
        }
        parts = {
            "boxes": to_bytes([frame.boxes for frame in value.by_frame], "<f4"),
            "scores": to_bytes([frame.scores for frame in value.by_frame], "<f4"),
            "labels": np.array([places[noun] for frame in value.by_frame for noun in frame.labels], "<u4").tobytes(),
        }
        return Packed(description, parts)

    def unpack(self, video: str, description: Mapping[str, Any], read: ReadPart) -> VideoBoxes:
        """Return the boxes."""
        frames, size = read_frames(description)
        counts = [read_integer(count) for count in description["counts"]]
        nouns = read_texts(description["labels"])
        total = sum(counts)
        if total > _MOST_BOXES:
            raise ValueError(f"{count(total, 'box', 'boxes')}")
        boxes, scores = read_array(read, "boxes", "<f4", (total, 4)), read_array(read, "scores", "<f4", (total,))
        labels = [nouns[place] for place in read_array(read, "labels", "<u4", (total,)).tolist()]
        ends = np.cumsum([0, *counts]).tolist()
        by_frame = tuple(
            FrameBoxes(boxes[start:end], scores[start:end], tuple(labels[start:end])) for start, end in pairwise(ends)
        )
        return VideoBoxes(video, frames, size, by_frame)


BOXES = BoxCodec()
