"""Token layout (B, N, C), row-major over the grid, and map layout (B, C, h, w); both are views of one memory."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

Grid = tuple[int, int]


def split_axis(tensor: Tensor, axis: int, sizes: Sequence[int]) -> Tensor:
    """Return a view with one axis (counted from the front, or -1) split into several; one size may be -1."""
    axis = axis % tensor.ndim
    return tensor.view(*tensor.shape[:axis], *sizes, *tensor.shape[axis + 1 :])


def to_tokens(feature_map: Tensor) -> Tensor:
    """Return a map (B, C, h, w) as tokens (B, h*w, C), contiguous."""
    return feature_map.permute(0, 2, 3, 1).flatten(1, 2).contiguous()


def to_map(tokens: Tensor, grid: Grid) -> Tensor:
    """Return tokens (B, h*w, C) as a map (B, C, h, w), channels last in memory."""
    return split_axis(tokens, 1, grid).permute(0, 3, 1, 2)
