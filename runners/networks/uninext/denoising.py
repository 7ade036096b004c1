"""Denoising queries: noisy copies of the true box that the decoder learns to mend, or to reject."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class DenoisingQueries:
    """Extra queries in front of the matching ones, in groups that do not see each other.

    Args:
        content: `(N, D, C)`.
        boxes: `(N, D, 4)` noisy references in [0, 1].
        group: queries of one group, positives before negatives.
    """

    content: Tensor
    boxes: Tensor
    group: int

    @classmethod
    def build(cls, sentence: Tensor, boxes: Tensor) -> DenoisingQueries:
        """Return the queries of noisy boxes `(N, groups, group, 4)`; all share the sentence `(N, C)` as content."""
        frames, groups, group = boxes.shape[:3]
        content = sentence[:, None].expand(frames, groups * group, -1)
        return cls(content, boxes.flatten(1, 2), group)

    @property
    def n_queries(self) -> int:
        """Number of denoising queries of a frame."""
        return self.boxes.shape[1]

    def hidden(self, n_queries: int) -> Tensor:
        """Return `(Q, Q)` bool over all `n_queries`, true where a query (row) must not look (column).

        Matching queries see no denoising query; a denoising query sees its group and the matching ones.
        """
        own = torch.full((n_queries,), -1, device=self.boxes.device)
        # The number of each denoising query's group; matching queries keep -1.
        own[: self.n_queries] = torch.arange(self.n_queries, device=self.boxes.device) // self.group
        noisy = own >= 0
        # A matching query that saw a noisy copy of the true box would not have to find it.
        return noisy[None, :] & (own[:, None] != own[None, :])


def noisy_boxes(boxes: Tensor, groups: int, generator: torch.Generator | None = None) -> Tensor:
    """Return `(N, groups, 2, 4)` noisy copies, positive and negative, of boxes `(N, 4)` (cx, cy, w, h).

    Corners move by a random sign times U(0, 1) (positive) or U(1, 2) (negative) half sizes, and are clamped to [0, 1].
    Source: DINO, contrastive denoising; uninext.md, section 14.
    """
    half = boxes[:, 2:] / 2
    # (N, 4) -> (N, 1, 1, 4), broadcast over groups and over positive and negative
    corners = torch.cat([boxes[:, :2] - half, boxes[:, :2] + half], dim=-1)[:, None, None]
    shape = (boxes.shape[0], groups, 2, 4)
    amount = torch.rand(shape, generator=generator, device=boxes.device)
    # U(0, 1) half sides for the positive, U(1, 2) for the negative of a group
    amount = amount + torch.tensor([0.0, 1.0], device=boxes.device)[:, None]
    sign = torch.randint(0, 2, shape, generator=generator, device=boxes.device) * 2 - 1
    moved = (corners + sign * amount * half.repeat(1, 2)[:, None, None]).clamp(0, 1)
    lower, upper = moved[..., :2], moved[..., 2:]
    return torch.cat([(lower + upper) / 2, upper - lower], dim=-1)
