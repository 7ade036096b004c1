"""What a frame shows inside of a tracklet: the mean of a feature map under a mask.

Source: tracklets.md, section 4.2 (paper, Eq. 5).
"""

from __future__ import annotations

import torch
from torch import Tensor

from runners.networks.tracklets.config import Pool


def average_area(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Return masks `(..., H, W)` float as the masked part of each of `size` (h, w) equal cells, `(..., h, w)`.

    A cell counts the parts of pixels that it covers, so no mask vanishes and the covered part of the frame stays.
    """
    rows = _overlaps(masks.shape[-2], size[0]).to(masks)
    columns = _overlaps(masks.shape[-1], size[1]).to(masks)
    # (h, H) x (..., H, W) x (W, w)
    return rows @ masks @ columns.T


def _overlaps(pixels: int, cells: int) -> Tensor:
    """Return what part of each cell each pixel covers, `(cells, pixels)`; rows sum to 1."""
    edges = torch.arange(pixels + 1, dtype=torch.float64) * cells / pixels
    cell = torch.arange(cells, dtype=torch.float64)[:, None]
    return (torch.minimum(edges[1:], cell + 1) - torch.maximum(edges[:-1], cell)).clamp(min=0)


def pool_masks(features: Tensor, masks: Tensor, pool: Pool) -> tuple[Tensor, Tensor]:
    """Return what each mask holds of a map, `(N, P, C)`, and the weight of a constant in it, `(N, P)`.

    The weight is what pooling makes of a map of ones: a projection with a bias commutes with pooling only if its bias
    is multiplied by it.

    Args:
        features: `(N, C, h, w)`.
        masks: `(N, P, h, w)`, masked part of each cell.
        pool: by which area the sum is divided.
    """
    # (N, P, h * w) x (N, h * w, C): the sum over cells of mask times feature
    total = masks.flatten(2) @ features.flatten(2).transpose(1, 2)
    area = masks.sum((2, 3))
    if pool == "literal":
        cells = features.shape[-2] * features.shape[-1]
        return total / cells, area / cells
    seen = area > 0
    # Where nothing is masked the sum is zero already, and any divisor keeps it so.
    return total / torch.where(seen, area, 1)[..., None], seen.to(total)
