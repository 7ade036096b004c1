"""Matching and losses of ReferFormer and MUTR: one match a clip and layer, five terms, all layers alike."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from runners.networks.parts.referring import Predictions, select_query
from rvos.errors import ConfigError, InputError
from rvos_fusion.training.criteria.terms import (
    Coefficient,
    call_classes,
    class_cost,
    dice_coefficient,
    generalised_iou,
    mean_over_processes,
    share_frames,
    sigmoid_focal,
    weigh,
)
from rvos_fusion.training.data.targets import ClipTargets

_STRIDE, _OFFSET = 4, 2


_NOTHING_MATCHED = "weights: every coefficient of the matching is 0, so no query would differ; give one above 0"


@dataclass(frozen=True, slots=True)
class ReferFormerWeights:
    """Coefficients; officially the same for losses and matching costs.

    Args:
        classes, boxes, giou, mask_focal, mask_dice: of the losses.
        match_classes, match_boxes, match_giou, match_focal, match_dice: of the costs; None: those of the losses.
    """

    classes: Coefficient = 2.0
    boxes: Coefficient = 5.0
    giou: Coefficient = 2.0
    mask_focal: Coefficient = 2.0
    mask_dice: Coefficient = 5.0
    match_classes: Coefficient | None = None
    match_boxes: Coefficient | None = None
    match_giou: Coefficient | None = None
    match_focal: Coefficient | None = None
    match_dice: Coefficient | None = None

    def __post_init__(self) -> None:
        if not any(self.costs().values()):
            raise ConfigError(_NOTHING_MATCHED)

    def costs(self) -> dict[str, float]:
        """Return the coefficients of the matching by the names of the losses."""
        stated = {
            "loss_ce": self.match_classes,
            "loss_bbox": self.match_boxes,
            "loss_giou": self.match_giou,
            "loss_mask": self.match_focal,
            "loss_dice": self.match_dice,
        }
        losses = self.losses()
        return {name: losses[name] if value is None else value for name, value in stated.items()}

    def losses(self) -> dict[str, float]:
        """Return the coefficients by the names of the losses."""
        return {
            "loss_ce": self.classes,
            "loss_bbox": self.boxes,
            "loss_giou": self.giou,
            "loss_mask": self.mask_focal,
            "loss_dice": self.mask_dice,
        }


class ReferFormerCriterion:
    """Losses of a batch of clips, each with one referred object. Source: referformer.md, section 12."""

    def __init__(self, weights: ReferFormerWeights | None = None) -> None:
        self.weights = weights or ReferFormerWeights()

    def __call__(self, outputs: Predictions | Tensor, targets: ClipTargets) -> dict[str, Tensor]:
        """Return every loss times its coefficient, and their sum `total`; names as in `losses`."""
        return weigh(self.losses(outputs, targets), self.weights.losses())

    def losses(self, outputs: Predictions | Tensor, targets: ClipTargets) -> dict[str, Tensor]:
        """Return the bare losses, all but the last layer's ending in `_<layer>`; InputError: sides no multiple of 4.

        Of mask logits `(B, T, h, w)`, as the baseline without queries gives them, those of masks alone.
        """
        if isinstance(outputs, Tensor):
            wanted = sampled_masks(targets.masks, (outputs.shape[-2], outputs.shape[-1]))
            return _mask_losses(outputs.float(), wanted, _count_frames(targets))
        masks = sampled_masks(targets.masks, (outputs.masks.shape[-2], outputs.masks.shape[-1]))
        last = len(outputs.logits) - 1
        found: dict[str, Tensor] = {}
        for index in range(last + 1):
            layer = (outputs.logits[index].float(), outputs.boxes[index].float(), outputs.masks[index].float())
            terms = self.layer_losses(layer, targets, masks)
            found |= {name if index == last else f"{name}_{index}": value for name, value in terms.items()}
        return found

    @torch.no_grad()
    def match(self, layer: tuple[Tensor, Tensor, Tensor], targets: ClipTargets, masks: Tensor) -> Tensor:
        """Return the query `(B,)` of each clip's one object, so that the cheapest assignment is the cheapest query.

        Args:
            layer: class logits `(B, T, Q, K)`, boxes `(B, T, Q, 4)` and mask logits `(B, T, Q, h, w)`.
            masks: `(B, T, h, w)` 0 or 1.
        """
        logits, boxes, drawn = layer
        weights, given = self.weights.costs(), targets.boxes[:, :, None]
        cost = weights["loss_ce"] * class_cost(logits, targets, share_frames(targets.visible))
        cost = cost + weights["loss_bbox"] * (boxes - given).abs().sum(-1).mean(1)
        cost = cost - weights["loss_giou"] * generalised_iou(boxes, given).mean(1)
        volumes, wanted = _volumes(drawn), _volumes(masks[:, :, None]).expand(-1, drawn.shape[2], -1, -1)
        cost = cost + weights["loss_mask"] * sigmoid_focal(volumes, wanted).mean((-2, -1))
        cost = cost - weights["loss_dice"] * dice_coefficient(volumes.sigmoid(), wanted)
        return cost.argmin(1)

    def layer_losses(
        self, layer: tuple[Tensor, Tensor, Tensor], targets: ClipTargets, masks: Tensor
    ) -> dict[str, Tensor]:
        """Return the five terms of one layer; arguments as for `match`."""
        logits, boxes, drawn = layer
        query = self.match(layer, targets, masks)
        number = _count_frames(targets)
        chosen = select_query(boxes, query)
        return {
            "loss_ce": sigmoid_focal(logits, call_classes(logits, targets, query)).sum() / number,
            "loss_bbox": (chosen - targets.boxes).abs().sum() / number,
            "loss_giou": (1 - generalised_iou(chosen, targets.boxes)).sum() / number,
            **_mask_losses(select_query(drawn, query), masks, number),
        }


def sampled_masks(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Return every 4th pixel, from pixel 2 on, as float32 `(B, T, h, w)`; InputError where that is not `size`."""
    sampled = masks[..., _OFFSET::_STRIDE, _OFFSET::_STRIDE].float()
    if sampled.shape[-2:] != size:
        raise InputError(
            f"targets of {tuple(masks.shape[-2:])} pixels: predictions have {size}; pad frames to a multiple of 32"
        )
    return sampled


def _count_frames(targets: ClipTargets) -> Tensor:
    """Return how many frames of a batch show their object, over all processes, at least 1."""
    return mean_over_processes(targets.visible.sum().float()).clamp(min=1)


def _mask_losses(logits: Tensor, masks: Tensor, number: Tensor) -> dict[str, Tensor]:
    """Return focal and dice loss of logits `(B, T, h, w)`, each clip one volume."""
    volume, wanted = _volumes(logits[:, :, None]), _volumes(masks[:, :, None])
    return {
        "loss_mask": sigmoid_focal(volume, wanted).mean((-2, -1)).sum() / number,
        "loss_dice": (1 - dice_coefficient(volume.sigmoid(), wanted)).sum() / number,
    }


def _volumes(masks: Tensor) -> Tensor:
    """Return masks `(B, T, Q, h, w)` as one plane a query, `(B, Q, T * h, w)`."""
    return masks.transpose(1, 2).flatten(2, 3)
