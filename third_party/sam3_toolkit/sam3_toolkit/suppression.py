"""Which of several masks of one object stays.

Source: docs/specs/sam3.md, section 9.
"""

from __future__ import annotations

import torch
from torch import Tensor


def suppress(masks: Tensor, scores: Tensor, most_iou: float) -> Tensor:
    """Return the numbers of the masks that no better one covers, ascending `(kept,)`.

    Args:
        masks: `(n, h, w)` bool.
        scores: `(n,)`.
        most_iou: a mask is dropped if its intersection over union with a better one that stays is above it.
    """
    flat = masks.flatten(1).float()
    # Counts of pixels below 2^24 are exact in float32.
    shared = flat @ flat.T
    areas = shared.diagonal()
    iou = shared / (areas[:, None] + areas[None] - shared).clamp(min=1)
    kept: list[int] = []
    for number in scores.argsort(descending=True, stable=True).tolist():
        if not kept or bool((iou[number, kept] <= most_iou).all()):
            kept.append(number)
    return torch.tensor(sorted(kept), dtype=torch.int64, device=masks.device)
