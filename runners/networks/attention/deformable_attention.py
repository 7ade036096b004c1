"""Multi-scale deformable attention in plain PyTorch."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MapShapes = Sequence[tuple[int, int]]
# Without gradients, frames are sampled in groups whose samples of one level stay below this number (128 MiB),
# and rows are gathered in pieces of at most so many (2 MiB of row numbers).
_LARGEST_SAMPLES = 1 << 25
_GATHERED_ROWS = 1 << 19


def sample(value: Tensor, shapes: MapShapes, locations: Tensor, weights: Tensor) -> Tensor:
    """Return `sample_levels`, in pieces where memory is not held for gradients anyway."""
    if torch.is_grad_enabled():
        return sample_levels(value, shapes, locations, weights)
    images, queries, heads, levels, points = weights.shape
    # On the CPU rows of a table are gathered faster than maps are sampled, in pieces that stay in its cache.
    # Pieces are cut by the 4 pixels around each of heads * levels * points samples of a query.
    if value.device.type == "cpu":
        step = max(1, _GATHERED_ROWS // (4 * heads * levels * points))
        pieces = [
            gather_levels(value[image : image + 1], shapes, locations[one], weights[one])
            for image in range(images)
            for first in range(0, queries, step)
            for one in [(slice(image, image + 1), slice(first, first + step))]
        ]
        return torch.cat(pieces, dim=1).reshape(images, queries, -1)
    group = max(1, _LARGEST_SAMPLES // max(1, heads * value.shape[3] * queries * points))
    parts = [slice(first, first + group) for first in range(0, images, group)]
    return torch.cat([sample_levels(value[part], shapes, locations[part], weights[part]) for part in parts])


def sample_levels(value: Tensor, shapes: MapShapes, locations: Tensor, weights: Tensor) -> Tensor:
    """Return the weighted sum of bilinear samples, zero outside the maps, (N, Lq, heads * c).

    Args:
        value: (N, S, heads, c), levels concatenated row-major.
        shapes: (h, w) of every level; their areas sum to S.
        locations: (N, Lq, heads, levels, points, 2) as (x, y), [0, 1] spans the padded map.
        weights: (N, Lq, heads, levels, points).
    """
    images, _, heads, channels = value.shape
    queries = locations.shape[1]
    # Heads are folded into the batch: one grid_sample a level, and no copy of the maps for every point.
    # (N, Lq, heads, levels, points, 2) -> (N * heads, levels, Lq, points, 2); [0, 1] -> [-1, 1] of grid_sample
    grids = (2 * locations - 1).permute(0, 2, 3, 1, 4, 5).flatten(0, 1)
    # (N, Lq, heads, levels, points) -> (N * heads, levels, Lq, points)
    shares = weights.permute(0, 2, 3, 1, 4).flatten(0, 1)
    # (N, S, heads, c) -> (N * heads, c, S) -> one (N * heads, c, h * w) a level
    maps = value.permute(0, 2, 3, 1).flatten(0, 1).split_with_sizes([h * w for h, w in shapes], dim=2)
    total = value.new_zeros(())
    for level, (height, width) in enumerate(shapes):
        level_map = maps[level].reshape(images * heads, channels, height, width)
        samples = F.grid_sample(level_map, grids[:, level], "bilinear", "zeros", align_corners=False)
        # (N * heads, c, Lq, points) summed over the points
        total = total + (samples * shares[:, level, None]).sum(-1)
    # (N * heads, c, Lq) -> (N, heads * c, Lq) -> (N, Lq, heads * c)
    return total.reshape(images, heads * channels, queries).transpose(1, 2)


def gather_levels(value: Tensor, shapes: MapShapes, locations: Tensor, weights: Tensor) -> Tensor:
    """Return the same as `sample_levels` for one image, as weighted sums of the four pixels around every point."""
    _, _, heads, channels = value.shape
    _, queries, _, levels, points, _ = locations.shape
    # One lane for each head, level and point: long rows are what the processor's vectors are for.
    sizes = [[size for size in sides for _ in range(points)] * heads for sides in zip(*shapes, strict=True)]
    height, width = torch.tensor(sizes)
    # (1, Lq, heads, levels, points, 2) -> x and y (Lq, lanes)
    x, y = locations[0].reshape(queries, -1, 2).unbind(-1)
    shares = weights[0].reshape(queries, -1)
    areas = [0, *(h * w for h, w in shapes)]
    first = torch.tensor(areas[:-1]).cumsum(0).repeat_interleave(points).repeat(heads)
    head = torch.arange(heads).repeat_interleave(levels * points)
    # Row of the table (S * heads, c): pixel times heads plus head.
    origin = (first * heads + head).to(torch.int32)
    rows, factors = [], []
    columns = [(column * heads, share) for column, share in _neighbours(x, width)]
    for line, line_share in _neighbours(y, height):
        start = line * (width * heads).to(torch.int32) + origin
        weight = line_share * shares
        for column, column_share in columns:
            rows.append(start + column)
            factors.append(weight * column_share)
    # Four times (Lq, lanes) -> (Lq * heads, levels * 4 * points): one bag of rows for each query and head
    bags, portions = (
        torch.stack([part.view(queries * heads, levels, points) for part in parts], dim=2).flatten(1)
        for parts in (rows, factors)
    )
    table = value.reshape(-1, channels)
    gathered = F.embedding_bag(bags, table, mode="sum", per_sample_weights=portions.to(table.dtype))
    return gathered.reshape(1, queries, heads * channels)


def _neighbours(places: Tensor, sizes: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Return the two pixels around each place (Lq, lanes) in [0, 1] of axes of `sizes` (lanes,), and their shares."""
    # Pixel centres stand at halves of the unit that [0, 1] spans, as grid_sample has it without aligned corners.
    length = sizes.to(places.dtype)
    pixels = places * length - 0.5
    lower = pixels.floor()
    upper_share = pixels - lower
    last = sizes.to(torch.int32) - 1
    index = lower.to(torch.int32)
    # Clamped indices only keep the look-up inside the table; the zero share is what leaves a pixel out.
    lower_share = (1 - upper_share) * ((lower >= 0) & (lower < length))
    upper_share = upper_share * ((lower >= -1) & (lower < length - 1))
    within = [torch.minimum(pixel.clamp_(min=0), last) for pixel in (index + 1, index)]
    return [(within[1], lower_share), (within[0], upper_share)]


class DeformableAttention(nn.Module):
    """Every query looks at learned points around its reference, by level and head. Source: Deformable DETR, Eq. 3."""

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
        # The longer side of each direction becomes 1: the points of a head lie on squares, not on circles.
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
        """Return (N, Lq, heads, levels, points, 2), (x, y) over [0, 1], about references (..., 2) or boxes (..., 4)."""
        offsets = torch.unflatten(self.sampling_offsets(query), -1, (self.heads, self.levels, self.points, 2))
        anchors = reference[:, :, None, :, None]
        # Around a box the offsets count in its half sides, so that all points reach its border; around a point, in
        # pixels.
        if reference.shape[-1] == 4:
            return anchors[..., :2] + offsets / self.points * anchors[..., 2:] * 0.5
        scale = torch.tensor([(w, h) for h, w in shapes], dtype=reference.dtype, device=reference.device)
        # Written out for every point and, for the division, for every head: short rows are slow to broadcast.
        every = scale[:, None].expand(-1, self.points, -1)
        offsets = (offsets.flatten(2) / every.expand(self.heads, -1, -1, -1).flatten()).view(offsets.shape)
        return anchors.expand(-1, -1, -1, -1, self.points, -1).contiguous() + offsets

    def weigh(self, query: Tensor) -> Tensor:
        """Return the attention (N, Lq, heads, levels, points); it sums to 1 over levels and points."""
        # One softmax over all levels and points of a head, not one a level.
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
        # (N, S, C) -> (N, S, heads, c)
        value = torch.unflatten(value, -1, (self.heads, -1))
        # Grids of half precision would miss pixels: locations stay in the reference's float32.
        locations = self.locate(query, reference, shapes).to(value.dtype)
        gathered = sample(value, shapes, locations, self.weigh(query).to(value.dtype))
        return self.output_proj(gathered)
