"""A kind of node that stores boxes and no masks: `{box: NODE}` draws one around each mask of a node."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import numpy as np

from rvos.masks.detections import FrameBoxes, VideoBoxes
from rvos.masks.stored import BOXES
from rvos.settings import Key
from rvos_fusion.kinds.artefacts import Artefact
from rvos_fusion.kinds.base import Node, Task
from rvos_fusion.kinds.inputs import MasksOf


@dataclass(frozen=True, slots=True)
class BoxNode(Node):
    """The largest extent of every mask, by frame."""

    keyword: ClassVar[str] = "box"
    kind: ClassVar[str] = "box"
    artefact: ClassVar[Artefact] = Artefact(BOXES, by_expression=False)

    source: Annotated[MasksOf, Key("box")]

    def describe(self) -> str:
        """The source."""
        return f"boxes of {self.source}"

    def detail(self) -> str:
        """Nothing to choose."""
        return "boxes"

    def make(self, task: Task) -> VideoBoxes:
        """Return the boxes."""
        sequences = task.read(self.source)
        masks = np.stack([sequence.masks() for sequence in sequences], axis=1)
        frames = tuple(_box_frame(frame) for frame in masks)
        return VideoBoxes(task.video.id, task.video.frames, sequences[0].size, frames)


def _box_frame(masks: np.ndarray) -> FrameBoxes:
    boxes = []
    for mask in masks:
        rows, columns = np.nonzero(mask)
        if len(rows):
            boxes.append((columns.min(), rows.min(), columns.max() + 1, rows.max() + 1))
    values = np.asarray(boxes, np.float32).reshape(-1, 4)
    return FrameBoxes(values, np.ones(len(boxes), np.float32), ("thing",) * len(boxes))
