"""Holes of masks filled and islands dropped, where they are too small to be meant.

Source: docs/specs/sam3.md, section 12.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_NEIGHBOURS = 8
_BARELY = 0.1
"""Logit of a filled cell, and the negative of a dropped one: the outline beside it hardly moves."""


def clean(logits: Tensor, most_cells: int) -> Tensor:
    """Return a mask's logits `(h, w)` with small holes inside and small islands outside of it.

    Args:
        most_cells: of a hole, and of an island, which is smaller than the largest part too; 0: nothing changes.
    """
    mask = (logits > 0).cpu().numpy()
    if not most_cells or not mask.any():
        return logits
    islands, holes = _find_parts(mask), _find_parts(~mask)
    is_island = islands <= min(most_cells, islands[mask].max() - 1)
    cleaned = logits.masked_fill(torch.from_numpy(mask & is_island).to(logits.device), -_BARELY)
    return cleaned.masked_fill(torch.from_numpy(~mask & (holes <= most_cells)).to(logits.device), _BARELY)


def _find_parts(cells: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return the area of the connected part that each of the cells `(h, w)` belongs to."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(cells.view(np.uint8), connectivity=_NEIGHBOURS)
    return statistics[:, cv2.CC_STAT_AREA].astype(np.int32)[labels]
