"""Token layout (B, N, C), row-major over the grid, and map layout (B, C, h, w); both are views of one memory."""

from __future__ import annotations

from torch import Tensor

Grid = tuple[int, int]


def to_tokens(feature_map: Tensor) -> Tensor:
    """Return a map (B, C, h, w) as tokens (B, h*w, C), contiguous."""
    return feature_map.permute(0, 2, 3, 1).flatten(1, 2).contiguous()


def to_map(tokens: Tensor, grid: Grid) -> Tensor:
    """Return tokens (B, h*w, C) as a map (B, C, h, w), channels last in memory."""
    return tokens.unflatten(1, grid).permute(0, 3, 1, 2)
