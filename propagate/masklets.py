"""Masklets: what of a detector's boxes is used, and which masklets of a noun count.

Source: docs/specs/refinement.md, section 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from rvos.errors import ConfigError
from rvos.masks.detections import FrameBoxes
from rvos.masks.runs import Runs, tracklet_iou
from rvos.settings import Chance, Count, Range

_SMALLEST_SIDE = 1.0


@dataclass(frozen=True, slots=True)
class MaskletSettings:
    """How boxes become masklets.

    Args:
        detect_frames: distance of the frames that the detector sees, the first one included; `first`: it alone.
        nms_iou: of two boxes of a frame with a higher IoU the one with the lower score is dropped.
        associate_iou: a box whose mask has at least this IoU with a masklet in that frame is no new instance.
        max_instances: boxes of a frame, and masklets of a noun, at most.
        box_prompt: what the engine starts from where it takes both; engines that only take masks get masks.
        mask_iou: of two masks of a frame with a higher IoU the one with the lower score is dropped; 1: none is.
        new_score: once a noun has masklets, boxes of a lower score start no further one.
        recondition_frames: in the frames 0, N, 2N, ... a masklet starts anew from a sure detection of itself; the
            detector sees them all.
        recondition_score, recondition_iou: what such a detection needs at least: its score, and its mask's IoU with
            the masklet's.
    """

    detect_frames: Annotated[int, Range(least=1)] | Literal["first"] = 15
    nms_iou: Annotated[float, Range(above=0, most=1)] = 0.8
    associate_iou: Annotated[float, Range(above=0, most=1)] = 0.5
    max_instances: Count = 20
    box_prompt: Literal["box", "mask"] = "box"
    mask_iou: Annotated[float, Range(above=0, most=1)] = 1.0
    new_score: Chance = 0.0
    recondition_frames: Annotated[int, Range(least=1)] | Literal["off"] = "off"
    recondition_score: Chance = 0.8
    recondition_iou: Annotated[float, Range(above=0, most=1)] = 0.8

    def __post_init__(self) -> None:
        if self.recondition_frames != "off" and (
            self.detect_frames == "first" or self.recondition_frames % self.detect_frames
        ):
            raise ConfigError(
                f"recondition_frames {self.recondition_frames}: the detector sees none of some such frames with "
                f"detect_frames {self.detect_frames}; give a multiple of it"
            )

    def list_frames(self, n_frames: int) -> tuple[int, ...]:
        """Return the indices of the frames that the detector sees."""
        return (0,) if self.detect_frames == "first" else tuple(range(0, n_frames, self.detect_frames))


def pick_boxes(
    found: FrameBoxes, size: tuple[int, int], settings: MaskletSettings
) -> tuple[NDArray[np.float32], list[int]]:
    """Return all boxes clipped to the frame (H, W), and the places of those that are used, best first."""
    height, width = size
    boxes = np.clip(found.boxes, 0, np.array([width, height, width, height], np.float32))
    sides = boxes[:, 2:] - boxes[:, :2]
    usable = np.all(sides >= _SMALLEST_SIDE, axis=1).tolist()
    order = [place for place in np.argsort(-found.scores, kind="stable").tolist() if usable[place]]
    kept: list[int] = []
    for place in order:
        if all(box_iou(boxes[place], boxes[other]) <= settings.nms_iou for other in kept):
            kept.append(place)
    return boxes, kept[: settings.max_instances]


def box_iou(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Return the IoU of two boxes (left, top, right, bottom) with sides above 0."""
    inner = np.minimum(a[2:], b[2:]).astype(np.float64) - np.maximum(a[:2], b[:2])
    common = float(np.prod(np.maximum(inner, 0)))
    areas = [float(np.prod((box[2:] - box[:2]).astype(np.float64))) for box in (a, b)]
    return common / (sum(areas) - common)


def find_instance(mask: NDArray[np.bool_], live: Sequence[NDArray[np.bool_]], *, iou: float) -> int | None:
    """Return which mask `(H, W)` of a frame is the same instance: the first of highest IoU from `iou` on, or None."""
    best: tuple[float, int] | None = None
    for place, other in enumerate(live):
        union = int(np.count_nonzero(mask | other))
        overlap = int(np.count_nonzero(mask & other)) / union if union else 0.0
        if overlap >= iou and (best is None or overlap > best[0]):
            best = overlap, place
    return None if best is None else best[1]


def suppress(masks: Sequence[NDArray[np.bool_]], *, iou: float) -> list[int]:
    """Return the places of the masks `(H, W)` of a frame, best first, that have no higher IoU with a better one."""
    if iou >= 1:
        return list(range(len(masks)))
    kept: list[int] = []
    for place, mask in enumerate(masks):
        # From the next larger number on is above the limit itself.
        if find_instance(mask, [masks[one] for one in kept], iou=float(np.nextafter(iou, 2))) is None:
            kept.append(place)
    return kept


def list_distinct(masklets: Sequence[Runs], *, dedup_iou: float | Literal["off"]) -> tuple[int, ...]:
    """Return the places of masklets that are neither empty nor copies of earlier ones, which would split the votes."""
    kept: list[int] = []
    for place, masklet in enumerate(masklets):
        is_copy = dedup_iou != "off" and any(tracklet_iou(masklets[one], masklet) >= dedup_iou for one in kept)
        if masklet.starts.size and not is_copy:
            kept.append(place)
    return tuple(kept)
