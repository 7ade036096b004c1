"""Multi-scale deformable attention in plain PyTorch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MapShapes = Sequence[tuple[int, int]]
# Without gradients, frames are sampled in groups whose samples of one level stay below this number (128 MiB).
_LARGEST_SAMPLES = 1 << 25


def sample_in_groups(value: Tensor, shapes: MapShapes, locations: Tensor, weights: Tensor) -> Tensor:
    """Return `sample_levels`, in groups of frames where memory is not held for gradients anyway."""
    images, queries = locations.shape[:2]
    samples = value.shape[2] * value.shape[3] * queries * locations.shape[4]
    group = images if torch.is_grad_enabled() else max(1, _LARGEST_SAMPLES // max(1, samples))
    parts = [
        sample_levels(
            value[first : first + group], shapes, locations[first : first + group], weights[first : first + group]
        )
        for first in range(0, images, group)
    ]
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def sample_levels(value: Tensor, shapes: MapShapes, locations: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum of bilinear samples, zero outside the maps.

    Args:
        value: (N, S, heads, c), levels concatenated row-major.
        shapes: (h, w) of every level; their areas sum to S.
        locations: (N, Lq, heads, levels, points, 2) as (x, y), [0, 1] spans the padded map.
        weights: (N, Lq, heads, levels, points).

    Returns:
        (N, Lq, heads * c).
    """
    images, _, heads, channels = value.shape
    queries = locations.shape[1]
    # Heads are folded into the batch: one grid_sample a level, and no copy of the maps for every point.
    grids = (2 * locations - 1).permute(0, 2, 3, 1, 4, 5).flatten(0, 1)
    shares = weights.permute(0, 2, 3, 1, 4).flatten(0, 1)
    maps = value.permute(0, 2, 3, 1).flatten(0, 1).split_with_sizes([h * w for h, w in shapes], dim=2)
    total = value.new_zeros(())
    for level, (height, width) in enumerate(shapes):
        level_map = maps[level].reshape(images * heads, channels, height, width)
        samples = F.grid_sample(level_map, grids[:, level], "bilinear", "zeros", align_corners=False)
        total = total + (samples * shares[:, level, None]).sum(-1)
    return total.reshape(images, heads * channels, queries).transpose(1, 2)


class DeformableAttention(nn.Module):
    """Every query looks at a few learned points around its reference, in every level and head.

    Source: Deformable DETR, Eq. 3.
    """

    def __init__(self, channels: int = 256, levels: int = 4, heads: int = 8, points: int = 4) -> None:
        super().__init__()
        self.levels, self.heads, self.points = levels, heads, points
        self.sampling_offsets = nn.Linear(channels, heads * levels * points * 2)
        self.attention_weights = nn.Linear(channels, heads * levels * points)
        self.value_proj = nn.Linear(channels, channels)
        self.output_proj = nn.Linear(channels, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Start with uniform weights on a star of points, head h in direction 2 pi h / heads."""
        angles = torch.arange(self.heads, dtype=torch.float32) * (2 * math.pi / self.heads)
        directions = torch.stack((angles.cos(), angles.sin()), dim=-1)
        directions = directions / directions.abs().amax(-1, keepdim=True)
        distances = torch.arange(1, self.points + 1, dtype=torch.float32)
        star = directions[:, None, None] * distances[:, None]
        with torch.no_grad():
            self.sampling_offsets.bias.copy_(star.expand(-1, self.levels, -1, -1).flatten())
        for tensor in (self.sampling_offsets.weight, self.attention_weights.weight, self.attention_weights.bias):
            nn.init.zeros_(tensor)
        for layer in (self.value_proj, self.output_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def locate(self, query: Tensor, reference: Tensor, shapes: MapShapes) -> Tensor:
        """Return the sampling locations (N, Lq, heads, levels, points, 2), (x, y) with [0, 1] over the padded map.

        Args:
            reference: (N, Lq, levels, 2) points, or (N, Lq, levels, 4) boxes (cx, cy, w, h).
        """
        offsets = torch.unflatten(self.sampling_offsets(query), -1, (self.heads, self.levels, self.points, 2))
        anchors = reference[:, :, None, :, None]
        if reference.shape[-1] == 4:
            return anchors[..., :2] + offsets / self.points * anchors[..., 2:] * 0.5
        scale = torch.tensor([(w, h) for h, w in shapes], dtype=reference.dtype, device=reference.device)
        return anchors + offsets / scale[:, None]

    def weigh(self, query: Tensor) -> Tensor:
        """Return the attention (N, Lq, heads, levels, points); it sums to 1 over levels and points."""
        logits = torch.unflatten(self.attention_weights(query), -1, (self.heads, self.levels * self.points))
        return torch.unflatten(logits.softmax(-1), -1, (self.levels, self.points))

    def forward(
        self,
        query: Tensor,
        reference: Tensor,
        value_input: Tensor,
        shapes: MapShapes,
        padding_mask: Tensor | None = None,
    ) -> Tensor:
        """Return what every query gathers, (N, Lq, C).

        Args:
            query: (N, Lq, C), position included.
            reference: (N, Lq, levels, 2 or 4) in [0, 1] over the padded maps.
            value_input: (N, S, C), levels concatenated row-major.
            shapes: (h, w) of every level.
            padding_mask: bool (N, S), true = padding; None: nothing is padded.
        """
        value: Tensor = self.value_proj(value_input)
        if padding_mask is not None:
            # After the projection, so that padded pixels lose its bias as well.
            value = value.masked_fill(padding_mask[..., None], 0.0)
        value = torch.unflatten(value, -1, (self.heads, -1))
        # Grids of half precision would miss pixels: locations stay in the reference's float32.
        locations = self.locate(query, reference, shapes).to(value.dtype)
        gathered = sample_in_groups(value, shapes, locations, self.weigh(query).to(value.dtype))
        result: Tensor = self.output_proj(gathered)
        return result
