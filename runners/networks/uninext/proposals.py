"""Two-stage query selection: every encoded pixel proposes a box, the best become the queries' references."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

_BASE_SIZE = 0.05
_MARGIN = 0.01


@dataclass(frozen=True, slots=True, eq=False)
class Proposals:
    """Boxes chosen among the encoded pixels.

    Args:
        scores: `(N, S)` logits of all tokens.
        tokens: `(N, Q)` int64, chosen tokens, best first.
        boxes: `(N, Q, 4)` logits of the chosen boxes; infinite for unusable tokens.
        all_boxes: `(N, S, 4)` logits of every token's box, in training; else None.
    """

    scores: Tensor
    tokens: Tensor
    boxes: Tensor
    all_boxes: Tensor | None


def anchor_boxes(shapes: tuple[tuple[int, int], ...], valid: Tensor) -> Tensor:
    """Return each token's first box, `(N, S, 4)` in [0, 1]; valid `(N, levels, 2)`. Source: uninext.md, section 7."""
    boxes = []
    for level, (height, width) in enumerate(shapes):
        columns = torch.arange(width, dtype=valid.dtype, device=valid.device) + 0.5
        rows = torch.arange(height, dtype=valid.dtype, device=valid.device) + 0.5
        # (h, w, 2) as (x, y), in pixels
        grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)
        centres = grid[None] / valid[:, level, None, None]
        # A twentieth of the frame at stride 8, twice as much with each level.
        sizes = torch.full_like(centres, _BASE_SIZE * 2**level)
        boxes.append(torch.cat([centres, sizes], dim=-1).flatten(1, 2))
    return torch.cat(boxes, dim=1)


def usable_anchors(anchors: Tensor, padding: Tensor) -> Tensor:
    """Return which tokens may propose, `(N, S)` bool: not padding, and all four numbers inside (0.01, 0.99)."""
    # All four numbers, so that the sizes of the coarsest anchors count as well.
    inside = ((anchors > _MARGIN) & (anchors < 1 - _MARGIN)).all(-1)
    return inside & ~padding


def anchor_logits(anchors: Tensor, usable: Tensor) -> Tensor:
    """Return the anchors before a sigmoid, `(N, S, 4)`; infinity where they are unusable."""
    # Without the usual small number: what would need it is unusable.
    return torch.log(anchors / (1 - anchors)).masked_fill(~usable[..., None], torch.inf)


def pick(values: Tensor, index: Tensor) -> Tensor:
    """Return rows `index` `(N, Q)` of `values` `(N, S, C)`: `(N, Q, C)`."""
    return values.gather(1, index[..., None].expand(-1, -1, values.shape[-1]))
