"""Loss terms that the query networks share."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from rvos.settings import Range

Coefficient = Annotated[float, Range(least=0)]
"""Of a loss or a matching cost; 0 leaves it out."""
ALPHA, GAMMA = 0.25, 2.0
_EPSILON = 1e-6


def sigmoid_focal(logits: Tensor, targets: Tensor) -> Tensor:
    """Return the focal loss of every element; `targets` are 0 or 1, of the shape of `logits`.

    Source: Lin et al. 2017, Eq. 5, with alpha 0.25 and gamma 2.
    """
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    probabilities = logits.sigmoid()
    missed = probabilities + targets - 2 * probabilities * targets
    weight = (1 - ALPHA) + (2 * ALPHA - 1) * targets
    return weight * cross_entropy * missed**GAMMA


def dice_coefficient(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return (2 sum(p y) + 1) / (sum p + sum y + 1) over the last two axes."""
    overlap = (probabilities * targets).sum((-2, -1))
    return (2 * overlap + 1) / (probabilities.sum((-2, -1)) + targets.sum((-2, -1)) + 1)


def corners_of(boxes: Tensor) -> Tensor:
    """Return (left, top, right, bottom) of boxes (..., 4) given as (cx, cy, w, h)."""
    centre, half = boxes[..., :2], boxes[..., 2:] / 2
    return torch.cat((centre - half, centre + half), dim=-1)


def generalised_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Return the generalised IoU of pairs of boxes (..., 4) as (cx, cy, w, h), in [-1, 1]; empty boxes are allowed.

    Source: Rezatofighi et al. 2019, Algorithm 1, with 1e-6 added to every numerator and denominator.
    """
    one, two = corners_of(boxes), corners_of(others)
    overlap = (torch.minimum(one[..., 2:], two[..., 2:]) - torch.maximum(one[..., :2], two[..., :2])).clamp(min=0)
    hull = (torch.maximum(one[..., 2:], two[..., 2:]) - torch.minimum(one[..., :2], two[..., :2])).clamp(min=0)
    intersection, enclosing = overlap.prod(-1), hull.prod(-1)
    union = (one[..., 2:] - one[..., :2]).prod(-1) + (two[..., 2:] - two[..., :2]).prod(-1) - intersection
    iou = (intersection + _EPSILON) / (union + _EPSILON)
    return iou - ((enclosing - union) + _EPSILON) / (enclosing + _EPSILON)


def mean_over_processes(value: Tensor) -> Tensor:
    """Return the mean of a scalar over all training processes; itself where there is one."""
    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return value
    total = value.clone()
    torch.distributed.all_reduce(total)
    return total / torch.distributed.get_world_size()
