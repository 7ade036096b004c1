"""Loss terms that the query networks share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
import torch.nn.functional as F
from torch import Tensor

from rvos.settings import Range
from rvos_fusion.training.data.targets import ClipTargets

Coefficient = Annotated[float, Range(least=0)]
"""Of a loss or a matching cost; 0 leaves it out."""
ALPHA, GAMMA = 0.25, 2.0
_EPSILON = 1e-6
_LOG_EPSILON = 1e-8


def sigmoid_focal(logits: Tensor, targets: Tensor) -> Tensor:
    """Return every element's focal loss; targets are 0 or 1. Source: Lin et al. 2017, Eq. 5, alpha 0.25, gamma 2."""
    cross_entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    probabilities = logits.sigmoid()
    missed = probabilities + targets - 2 * probabilities * targets
    weight = (1 - ALPHA) + (2 * ALPHA - 1) * targets
    return weight * cross_entropy * missed**GAMMA


def dice_coefficient(probabilities: Tensor, targets: Tensor) -> Tensor:
    """Return (2 sum(p y) + 1) / (sum p + sum y + 1) over the last two axes."""
    overlap = (probabilities * targets).sum((-2, -1))
    return (2 * overlap + 1) / (probabilities.sum((-2, -1)) + targets.sum((-2, -1)) + 1)


def focal_cost(logits: Tensor) -> Tensor:
    """Return the cost of calling each query the object: its focal loss as positive minus that as negative."""
    probability = logits.sigmoid()
    positive = ALPHA * (1 - probability) ** GAMMA * -(probability + _LOG_EPSILON).log()
    negative = (1 - ALPHA) * probability**GAMMA * -(1 - probability + _LOG_EPSILON).log()
    return positive - negative


def pick_class(logits: Tensor, labels: Tensor) -> Tensor:
    """Return the class `(B,)` whose logit means the object: its category, or the only one of `(..., K)` logits."""
    return labels if logits.shape[-1] > 1 else torch.zeros_like(labels)


def class_cost(logits: Tensor, targets: ClipTargets, share: Tensor) -> Tensor:
    """Return the focal cost `(B, Q)` of calling each query, logits `(B, T, Q, K)`, the object; shares are `(B, T)`."""
    clips = torch.arange(len(logits), device=logits.device)
    chosen = logits[clips, :, :, pick_class(logits, targets.labels)].float()
    return (focal_cost(chosen) * share[..., None]).sum(1)


def share_frames(visible: Tensor) -> Tensor:
    """Return the weight `(B, T)` of every frame of a clip: visible ones count alike."""
    return visible.float() / visible.sum(1, keepdim=True).clamp(min=1)


def call_classes(logits: Tensor, targets: ClipTargets, query: Tensor) -> Tensor:
    """Return what class logits `(B, T, Q, K)` should say: 1 for the class of each visible object's query `(B,)`."""
    clips = torch.arange(len(query), device=query.device)
    called = torch.zeros_like(logits, dtype=torch.float32)
    called[clips, :, query, pick_class(logits, targets.labels)] = targets.visible.float()
    return called


def weigh(losses: Mapping[str, Tensor], coefficients: Mapping[str, float]) -> dict[str, Tensor]:
    """Return every loss times the coefficient that its name begins with, and their sum `total`."""

    def coefficient(name: str) -> float:
        return next(value for stem, value in coefficients.items() if f"{name}_".startswith(f"{stem}_"))

    weighted = {name: value * coefficient(name) for name, value in losses.items()}
    return weighted | {"total": torch.stack(list(weighted.values())).sum()}


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
