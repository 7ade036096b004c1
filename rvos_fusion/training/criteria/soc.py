"""SOC's matching and losses: one match a clip and layer, six terms, every layer with the same weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from runners.networks.soc.types import LayerOutput, SOCOutputs
from rvos.settings import Positive
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


@dataclass(frozen=True, slots=True)
class SOCWeights:
    """Coefficients of the losses and of the matching costs.

    Args:
        classes, boxes, giou, mask_focal, mask_dice, contrast: of the losses; contrast 0 is the ablation without it.
        match_classes, match_dice, match_boxes, match_giou: of the costs; neither focal nor contrast take part.
        similarity_scale: what the similarity of a video query and the sentence is divided by.
        published: where focal and dice are not given, 2 and 5 as in the released code, or 5 and 2 as in the paper.
    """

    classes: Coefficient = 2.0
    boxes: Coefficient = 2.0
    giou: Coefficient = 2.0
    mask_focal: Coefficient | None = None
    mask_dice: Coefficient | None = None
    contrast: Coefficient = 1.0
    match_classes: Coefficient = 2.0
    match_dice: Coefficient = 5.0
    match_boxes: Coefficient = 2.0
    match_giou: Coefficient = 2.0
    similarity_scale: Positive = 256.0
    published: Literal["code", "paper"] = "code"

    def losses(self) -> dict[str, float]:
        """Return the coefficients by the names of the losses."""
        focal, dice = (2.0, 5.0) if self.published == "code" else (5.0, 2.0)
        return {
            "loss_sigmoid_focal": focal if self.mask_focal is None else self.mask_focal,
            "loss_dice": dice if self.mask_dice is None else self.mask_dice,
            "loss_con": self.contrast,
            "loss_cls": self.classes,
            "loss_bbox": self.boxes,
            "loss_giou": self.giou,
        }


class SOCCriterion:
    """Losses of a batch. Source: soc.md, sections 6.4 and 6.5."""

    def __init__(self, weights: SOCWeights | None = None) -> None:
        self.weights = weights or SOCWeights()

    def __call__(self, outputs: SOCOutputs, targets: ClipTargets) -> dict[str, Tensor]:
        """Return every loss times its coefficient, and their sum `total`; names as in `losses`."""
        return weigh(self.losses(outputs, targets), self.weights.losses())

    def losses(self, outputs: SOCOutputs, targets: ClipTargets) -> dict[str, Tensor]:
        """Return the losses without coefficients: the last layer's names are bare, the others end in `_<layer>`."""
        last = len(outputs.layers) - 1
        found: dict[str, Tensor] = {}
        for index in (last, *range(last)):
            layer = outputs.layers[index]
            terms = self.layer_losses(layer, outputs.sentence, targets, self.match(layer, targets))
            found |= {name if index == last else f"{name}_{index}": value for name, value in terms.items()}
        return found

    @torch.no_grad()
    def match(self, layer: LayerOutput, targets: ClipTargets) -> Tensor:
        """Return the query (B,) of each clip's one object: the cheapest assignment is the cheapest query."""
        weights, visible = self.weights, targets.visible
        if visible.shape[1] == 1:
            visible = torch.ones_like(visible)
        classes = class_cost(layer.class_logits, targets, share_frames(visible))
        masks = _upsample(layer.mask_logits, targets.masks).sigmoid()
        dice = dice_coefficient(masks, targets.masks[:, :, None].float()).mean(1)
        boxes, given = layer.boxes.float(), targets.boxes[:, :, None]
        distance = (boxes - given).abs().sum(-1).mean(1)
        giou = generalised_iou(boxes, given).mean(1)
        cost = weights.match_classes * classes - weights.match_dice * dice
        cost = cost + weights.match_boxes * distance - weights.match_giou * giou
        return cost.argmin(1)

    def layer_losses(
        self, layer: LayerOutput, sentence: Tensor, targets: ClipTargets, match: Tensor
    ) -> dict[str, Tensor]:
        """Return the six terms of one layer; `match` (B,) names the query of each clip."""
        clips = torch.arange(len(match), device=match.device)
        number = mean_over_processes(torch.tensor(float(targets.visible.numel()), device=match.device)).clamp(min=1)
        logits = _upsample(layer.mask_logits[clips, :, match][:, :, None], targets.masks)[:, :, 0]
        masks = targets.masks.to(logits.dtype)
        boxes = layer.boxes[clips, :, match].float()
        wanted = call_classes(layer.class_logits, targets, match)
        # (B, Q, C), or (B, T, Q, C) of frames, for each of which the same query is right
        similarity = torch.einsum("b...qc,bc->bq...", layer.clip_queries.float(), sentence.float())
        meant = match.reshape(-1, *[1] * (similarity.ndim - 2)).expand(len(match), *similarity.shape[2:])
        return {
            "loss_sigmoid_focal": sigmoid_focal(logits, masks).mean((-2, -1)).sum() / number,
            "loss_dice": (1 - dice_coefficient(logits.sigmoid(), masks)).sum() / number,
            "loss_con": F.cross_entropy(similarity / self.weights.similarity_scale, meant),
            "loss_cls": sigmoid_focal(layer.class_logits.float(), wanted).sum() / number,
            "loss_bbox": (boxes - targets.boxes).abs().sum() / number,
            "loss_giou": (1 - generalised_iou(boxes, targets.boxes)).sum() / number,
        }


def _upsample(mask_logits: Tensor, masks: Tensor) -> Tensor:
    """Return logits (B, T, Q, h, w) at the size of target masks (B, T, H, W), float32."""
    size = (masks.shape[-2], masks.shape[-1])
    resized = F.interpolate(mask_logits.float().flatten(0, 1), size, mode="bilinear", align_corners=False)
    return torch.unflatten(resized, 0, mask_logits.shape[:2])
