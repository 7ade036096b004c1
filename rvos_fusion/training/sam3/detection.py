"""What SAM 3's detector is taught: matched queries, the phrase at every pixel, and whether there is any.

Source: docs/specs/sam3.md, section 9.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from sam3_toolkit.detector import Detector
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F

from rvos_fusion.training.criteria.terms import dice_coefficient, generalised_iou

_EDGE = 1e-3
_FOUND = 4.0
"""Weight of the queries that stand for an object, of which there are few."""


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What N phrases, each in its frame, are answered by Q queries in each of L layers.

    Args:
        logits: `(L, N, Q)`.
        boxes: `(L, N, Q, 4)` as (cx, cy, w, h), shares of the frame.
        presence: `(L, N)` logits.
        masks: logits of the last layer, `(N, Q, h, w)`.
        semantic: logits of the phrase in every place, `(N, h, w)`.
    """

    logits: Tensor
    boxes: Tensor
    presence: Tensor
    masks: Tensor
    semantic: Tensor


def answer(detector: Detector, levels: list[Tensor], tokens: Tensor, owners: Tensor) -> Answers:
    """Return the answers to phrases `(N, 32)`, asked of frames `owners` `(N,)` of which `levels` are the maps."""
    model = detector.model
    summary = torch.cat([detector.summarise(coarse[None]) for coarse in levels[2]])
    vectors = model.get_text_features(tokens, return_dict=True).pooler_output
    prompt = torch.cat([vectors, summary[owners]], dim=1)
    is_valid = torch.cat([tokens != 0, torch.ones_like(tokens[:, :1], dtype=torch.bool)], dim=1)
    maps = [level[owners] for level in levels]
    positions = detector.positions.expand(len(owners), -1, -1, -1)
    fused = model.detr_encoder(
        vision_features=[maps[2]], text_features=prompt, vision_pos_embeds=[positions], text_mask=is_valid
    )
    decoded = model.detr_decoder(
        vision_features=fused.last_hidden_state,
        text_features=prompt,
        vision_pos_encoding=fused.pos_embeds_flattened,
        text_mask=is_valid,
        spatial_shapes=fused.spatial_shapes,
    )
    queries = decoded.intermediate_hidden_states
    places = decoded.reference_boxes.clamp(0, 1)
    moved = (places.clamp(min=_EDGE) / (1 - places).clamp(min=_EDGE)).log() + model.detr_decoder.box_head(queries)
    drawn = model.mask_decoder(
        decoder_queries=queries[-1],
        backbone_features=maps,
        encoder_hidden_states=fused.last_hidden_state,
        prompt_features=prompt,
        prompt_mask=is_valid,
    )
    logits = model.dot_product_scoring(queries, prompt, is_valid)[..., 0]
    return Answers(logits, moved.sigmoid(), decoded.presence_logits[..., 0], drawn.pred_masks, drawn.semantic_seg[:, 0])


def teach(answers: Answers, masks: Tensor, boxes: Tensor, is_there: Tensor) -> dict[str, Tensor]:
    """Return the losses of the answers, weighted.

    Args:
        masks: `(N, K, h, w)`, shares of pixels of each of K objects at most.
        boxes: `(N, K, 4)`.
        is_there: `(N, K)` bool.
    """
    number = is_there.sum().clamp(min=1)
    any_there = is_there.any(1).float()
    losses = {name: answers.logits.new_zeros(()) for name in ("class", "boxes", "giou", "presence", "masks", "dice")}
    for layer in range(len(answers.logits)):
        phrase, query, place = match(answers, layer, boxes, is_there)
        target = torch.zeros_like(answers.logits[layer])
        target[phrase, query] = 1
        weight = 1 + (_FOUND - 1) * target
        entropy = F.binary_cross_entropy_with_logits(answers.logits[layer], target, weight=weight, reduction="none")
        losses["class"] = losses["class"] + 4 * entropy.mean()
        losses["presence"] = losses["presence"] + F.binary_cross_entropy_with_logits(answers.presence[layer], any_there)
        given, wanted = answers.boxes[layer][phrase, query], boxes[phrase, place]
        losses["boxes"] = losses["boxes"] + 5 * (given - wanted).abs().sum() / number
        losses["giou"] = losses["giou"] + 2 * (1 - generalised_iou(given, wanted)).sum() / number
    drawn, truth = answers.masks[phrase, query], masks[phrase, place]
    losses["masks"] = 5 * F.binary_cross_entropy_with_logits(drawn, truth, reduction="none").mean((1, 2)).sum() / number
    losses["dice"] = 3 * (1 - dice_coefficient(drawn.sigmoid(), truth)).sum() / number
    union = masks.sum(1).clamp(max=1)
    entropy = F.binary_cross_entropy_with_logits(answers.semantic, union, weight=1 + (_FOUND - 1) * union)
    losses["semantic"] = 3 * entropy + (1 - dice_coefficient(answers.semantic.sigmoid(), union)).mean()
    return losses


@torch.no_grad()
def match(answers: Answers, layer: int, boxes: Tensor, is_there: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return numbers of phrases, queries and objects that belong together, each `(objects,)`: one query an object."""
    cost = 5 * (answers.boxes[layer][:, :, None] - boxes[:, None]).abs().sum(-1)
    cost = cost - 2 * generalised_iou(answers.boxes[layer][:, :, None], boxes[:, None])
    cost = cost - 2 * answers.logits[layer].sigmoid()[..., None]
    rows: list[tuple[int, int, int]] = []
    for phrase, (costs, there) in enumerate(zip(cost.cpu().numpy(), is_there.cpu().numpy(), strict=True)):
        places = np.flatnonzero(there)
        queries, chosen = linear_sum_assignment(costs[:, places])
        rows += [(phrase, int(query), int(places[place])) for query, place in zip(queries, chosen, strict=True)]
    found = torch.tensor(rows, dtype=torch.int64, device=cost.device).reshape(-1, 3)
    return found[:, 0], found[:, 1], found[:, 2]
