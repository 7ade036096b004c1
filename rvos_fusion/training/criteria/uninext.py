"""UNINEXT's matching and losses: several queries an object in the decoder, one among the proposals, and denoising.

An expression may mean several objects, or none: the K places of its targets hold one object each.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from runners.networks.uninext.masks import double_aligned, paint
from runners.networks.uninext.network import TrainingOutputs
from rvos_fusion.training.criteria.terms import (
    corners_of,
    dice_coefficient,
    focal_cost,
    generalised_iou,
    mean_over_processes,
    sigmoid_focal,
    weigh,
)
from rvos_fusion.training.data.targets import ClipTargets

_LOG_EPSILON = 1e-8
_CENTRE_RADIUS = 2.5 / 32
_OFF_CENTRE = 100.0
_OUTSIDE = 10_000.0
_CANDIDATES = 10
_FIRST, _STEP = 2, 4
_DENSE_LEVELS = 3
_OBJECT_WEIGHT = 4.0


@dataclass(frozen=True, slots=True)
class UninextWeights:
    """Coefficients of the losses and of the matching costs.

    Args:
        classes, boxes, giou, iou, mask_focal, mask_dice: of the losses; proposals and denoising use the first three.
        match_giou: of the decoder's matching, whose class cost counts once.
        proposal_classes, proposal_boxes, proposal_giou: of the proposals' matching.
        dense: of marking the object's pixels by the proposals' scores, which replaces their one-to-one class
            loss; 0, as officially: none. A small network learns what the words mean much sooner with it.
    """

    classes: float = 2.0
    boxes: float = 5.0
    giou: float = 2.0
    iou: float = 1.0
    mask_focal: float = 2.0
    mask_dice: float = 5.0
    match_giou: float = 3.0
    proposal_classes: float = 2.0
    proposal_boxes: float = 5.0
    proposal_giou: float = 2.0
    dense: float = 0.0

    def losses(self) -> dict[str, float]:
        """Return the coefficients by the first word of the losses' names."""
        return {
            "class": self.classes,
            "l1": self.boxes,
            "giou": self.giou,
            "iou": self.iou,
            "mask": self.mask_focal,
            "dice": self.mask_dice,
            "dense": self.dense,
        }


@dataclass(frozen=True, slots=True, eq=False)
class FrameTargets:
    """The objects that N expressions mean, K at most, each in its frame.

    Args:
        masks: `(N, K, h, w)` float32 at stride 4 of the padded frames.
        boxes: `(N, K, 4)` as (cx, cy, w, h).
        visible: `(N, K)` bool; places without an object are not visible.
    """

    masks: Tensor
    boxes: Tensor
    visible: Tensor

    @classmethod
    def of(cls, targets: ClipTargets) -> FrameTargets:
        """Return the targets with masks sampled as the mask branch paints them; their axis T is K here."""
        return cls(targets.masks[..., _FIRST::_STEP, _FIRST::_STEP].float(), targets.boxes, targets.visible)


class UninextCriterion:
    """Losses of a batch. Source: uninext.md, section 14."""

    def __init__(self, weights: UninextWeights | None = None) -> None:
        self.weights = weights or UninextWeights()

    def __call__(self, outputs: TrainingOutputs, targets: ClipTargets) -> dict[str, Tensor]:
        """Return every loss times its coefficient, and their sum `total`; names as in `losses`."""
        return weigh(self.losses(outputs, targets), self.weights.losses())

    def losses(self, outputs: TrainingOutputs, targets: ClipTargets) -> dict[str, Tensor]:
        """Return the losses without coefficients.

        The last layer's names are bare; others end in `_<layer>`, `_proposals` or `_denoising_<layer>`.
        """
        frames = FrameTargets.of(targets)
        last = outputs.class_logits.shape[0] - 1
        found: dict[str, Tensor] = {}
        for layer in range(last + 1):
            terms = self.layer_losses(outputs, layer, frames)
            found |= terms if layer == last else _suffixed(terms, f"{layer}")
        proposals = self.proposal_losses(outputs, frames)
        if self.weights.dense:
            del proposals["class"]
            proposals["dense"] = dense_loss(outputs, targets.masks.any(1).float())
        found |= _suffixed(proposals, "proposals")
        if outputs.denoising_logits is not None and outputs.denoising_boxes is not None:
            for layer in range(last + 1):
                noisy = denoising_losses(outputs.denoising_logits[layer], outputs.denoising_boxes[layer], frames)
                found |= _suffixed(noisy, f"denoising_{layer}")
        return found

    @torch.no_grad()
    def match(self, logits: Tensor, boxes: Tensor, targets: FrameTargets) -> Tensor:
        """Return which queries stand for which object, `(N, Q, K)` bool: as many as fit it, at most one object a query.

        Class logits are `(N, Q)`, boxes `(N, Q, 4)`. Source: YOLOX, simOTA, with the constants of uninext.md, section
        14.
        """
        given, wanted = boxes[:, :, None], targets.boxes[:, None]
        distance = (given[..., :2] - wanted[..., :2]).abs()
        inside, central = (distance < wanted[..., 2:] / 2).all(-1), (distance < _CENTRE_RADIUS).all(-1)
        cost = focal_cost(logits)[..., None] - self.weights.match_giou * generalised_iou(given, wanted)
        cost = cost + _OFF_CENTRE * ~(inside & central) + _OUTSIDE * ~(inside | central)
        overlaps = box_iou(given, wanted).topk(min(_CANDIDATES, boxes.shape[1]), dim=1).values
        wanted_queries = overlaps.sum(1).int().clamp(min=1)
        rank = cost.argsort(dim=1).argsort(dim=1)
        positive = (rank < wanted_queries[:, None]) & targets.visible[:, None]
        # Two objects that want one query: the cheaper one has it.
        cheapest = cost.masked_fill(~positive, torch.inf).argmin(-1, keepdim=True)
        return positive & (torch.arange(positive.shape[-1], device=cost.device) == cheapest)

    def layer_losses(self, outputs: TrainingOutputs, layer: int, targets: FrameTargets) -> dict[str, Tensor]:
        """Return the six terms of one decoder layer."""
        logits, boxes = outputs.class_logits[layer].float(), outputs.boxes[layer].float()
        positive = self.match(logits, boxes, targets)
        frame, query, place = positive.nonzero(as_tuple=True)
        number, wanted = _count(positive), targets.boxes[frame, place]
        terms = _detection_losses(logits, positive.any(-1), boxes[frame, query], wanted, number)
        overlap = box_iou(boxes[frame, query], wanted).detach().clamp(0, 1)
        each = F.binary_cross_entropy_with_logits(
            outputs.iou_logits[layer][frame, query].float(), overlap, reduction="none"
        )
        # Positives of this process only: the mean, as officially, not a share of all processes.
        terms["iou"] = each.sum() / max(len(each), 1)
        painted = _paint(outputs, layer, frame, query)
        masks = targets.masks[frame, place][..., : painted.shape[-2], : painted.shape[-1]]
        terms["mask"] = sigmoid_focal(painted, masks).flatten(1).mean(1).sum() / number
        terms["dice"] = (1 - dice_coefficient(painted.sigmoid(), masks)).sum() / number
        return terms

    def proposal_losses(self, outputs: TrainingOutputs, targets: FrameTargets) -> dict[str, Tensor]:
        """Return class and box terms of the encoder's proposals, one token an object."""
        logits, boxes = outputs.proposal_logits.float(), outputs.proposal_boxes.float()
        with torch.no_grad():
            given, wanted = boxes[:, :, None], targets.boxes[:, None]
            cost = self.weights.proposal_classes * focal_cost(logits)[..., None]
            cost = cost + self.weights.proposal_boxes * (given - wanted).abs().sum(-1)
            cost = cost - self.weights.proposal_giou * generalised_iou(given, wanted)
            token = cost.argmin(1)
        positive = F.one_hot(token, logits.shape[1]).bool() & targets.visible[..., None]
        frame, place, query = positive.nonzero(as_tuple=True)
        wanted = targets.boxes[frame, place]
        return _detection_losses(logits, positive.any(1), boxes[frame, query], wanted, _count(positive))


def denoising_losses(logits: Tensor, boxes: Tensor, targets: FrameTargets) -> dict[str, Tensor]:
    """Return class and box terms of one layer's noisy copies of first objects: `(N, D)`, positives at even places."""
    seen = targets.visible[:, 0]
    logits, boxes = logits[seen].float(), boxes[seen].float()
    positive = (torch.arange(logits.shape[1], device=logits.device) % 2 == 0).expand_as(logits)
    frame, query = positive.nonzero(as_tuple=True)
    wanted = targets.boxes[seen, 0][frame]
    return _detection_losses(logits, positive, boxes[frame, query], wanted, _count(positive))


def dense_loss(outputs: TrainingOutputs, masks: Tensor) -> Tensor:
    """Return how badly the proposals' scores mark masks `(N, H, W)` in the first three levels, mean over levels.

    Weighted cross-entropy and dice against the object's share of every cell.
    """
    areas = [height * width for height, width in outputs.shapes]
    terms = []
    levels = outputs.proposal_logits.float().split_with_sizes(areas, dim=1)
    for logits, shape in list(zip(levels, outputs.shapes, strict=True))[:_DENSE_LEVELS]:
        marked = torch.unflatten(logits, 1, shape)
        share = F.adaptive_avg_pool2d(masks[:, None], shape)[:, 0]
        weight = 1 + (_OBJECT_WEIGHT - 1) * share
        entropy = F.binary_cross_entropy_with_logits(marked, share, weight=weight)
        terms.append(3 * entropy + 1 - dice_coefficient(marked.sigmoid(), share).mean())
    return torch.stack(terms).mean()


def box_iou(boxes: Tensor, others: Tensor) -> Tensor:
    """Return the IoU of pairs of boxes (..., 4) as (cx, cy, w, h); 0 where both are empty."""
    one, two = corners_of(boxes), corners_of(others)
    sides = torch.minimum(one[..., 2:], two[..., 2:]) - torch.maximum(one[..., :2], two[..., :2])
    overlap = sides.clamp(min=0).prod(-1)
    union = boxes[..., 2:].prod(-1) + others[..., 2:].prod(-1) - overlap
    return overlap / union.clamp(min=_LOG_EPSILON)


def _count(positive: Tensor) -> Tensor:
    """Return the number of positives, averaged over processes, at least 1."""
    return mean_over_processes(positive.sum().float()).clamp(min=1)


def _detection_losses(
    logits: Tensor, positive: Tensor, boxes: Tensor, wanted: Tensor, number: Tensor
) -> dict[str, Tensor]:
    """Return the class term of all queries and the box terms of the positives, `(P, 4)` each."""
    return {
        "class": sigmoid_focal(logits, positive.float()).sum() / number,
        "l1": (boxes - wanted).abs().sum() / number,
        "giou": (1 - generalised_iou(boxes, wanted)).sum() / number,
    }


def _paint(outputs: TrainingOutputs, layer: int, frame: Tensor, query: Tensor) -> Tensor:
    """Return the mask logits `(P, h, w)` at stride 4 of the positives; every one is painted on its own."""
    features = outputs.mask_features[frame].float()
    filters = outputs.filters[layer][frame, query][:, None].float()
    centres = outputs.entering[layer][frame, query][:, None, :2].float()
    if not len(frame):
        return features.new_zeros((0, 2 * features.shape[-2], 2 * features.shape[-1]))
    return double_aligned(paint(features, filters, centres, outputs.sizes[frame]))[:, 0]


def _suffixed(terms: dict[str, Tensor], suffix: str) -> dict[str, Tensor]:
    return {f"{name}_{suffix}": value for name, value in terms.items()}
