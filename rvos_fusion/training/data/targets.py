"""What a clip's losses are computed against: one referred object in every frame of every clip."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from rvos.errors import InputError
from rvos_fusion.training.data.batches import Batch


@dataclass(frozen=True, slots=True, eq=False)
class ClipTargets(Batch):
    """The referred object of B clips of T frames.

    Args:
        masks: `(B, T, H, W)` bool at the padded network input size; padding is background.
        boxes: `(B, T, 4)` float32, centre x, centre y, width, height, normalised to the unpadded frame;
            zeros where the object is not visible.
        visible: `(B, T)` bool, the object has at least one pixel.
        labels: `(B,)` int64 category; 0 where there is one class.

    Raises:
        InputError: shapes that do not belong together.
    """

    masks: Tensor
    boxes: Tensor
    visible: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        clips = tuple(self.masks.shape[:2])
        shapes = (tuple(self.boxes.shape), tuple(self.visible.shape), tuple(self.labels.shape))
        if self.masks.dim() != 4 or shapes != ((*clips, 4), clips, clips[:1]):
            raise InputError(
                f"targets: masks {tuple(self.masks.shape)}, boxes, visible and labels {shapes}; "
                "give (B, T, H, W), (B, T, 4), (B, T) and (B,)"
            )


def targets_of(masks: Tensor, sizes: Tensor, labels: Tensor | None = None) -> ClipTargets:
    """Return the targets of padded masks `(B, T, H, W)`; sizes `(B, 2)` before padding, labels `(B,)` int64 or 0."""
    labels = torch.zeros(len(masks), dtype=torch.int64) if labels is None else labels
    return ClipTargets(masks, boxes_of(masks, sizes), masks.flatten(2).any(2), labels)


def boxes_of(masks: Tensor, sizes: Tensor) -> Tensor:
    """Return `(B, T, 4)` boxes (cx, cy, w, h) in units of the unpadded size; zeros for empty masks.

    Corners are the indices of first and last column and row, the last not moved by one. Source: soc.md, section 6.3.
    """
    left, right = _extent(masks.any(-2))
    top, bottom = _extent(masks.any(-1))
    height, width = sizes[:, :1].float(), sizes[:, 1:].float()
    boxes = torch.stack(
        (
            (left + right) / 2 / width,
            (top + bottom) / 2 / height,
            (right - left) / width,
            (bottom - top) / height,
        ),
        dim=-1,
    )
    return boxes * masks.flatten(2).any(2)[..., None]


def _extent(occupied: Tensor) -> tuple[Tensor, Tensor]:
    """Return the first and last true index of the last axis, as float32."""
    length = occupied.shape[-1]
    index = torch.arange(length, device=occupied.device)
    first = torch.where(occupied, index, length).amin(-1)
    last = torch.where(occupied, index, -1).amax(-1)
    return first.float(), last.float()
