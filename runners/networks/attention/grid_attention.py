"""Attention over a grid of tokens with decomposed relative positions, as ConvMAE and plain vision transformers have."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def resize_relative(table: Tensor, size: int) -> Tensor:
    """Return a relative-position table for an axis of `size` places, `(2 * size - 1, C)`, interpolated linearly."""
    # Rows and columns are resized each for itself, to exactly the pairs that this map has.
    if len(table) == 2 * size - 1:
        return table
    resized = F.interpolate(table.T[None].float(), size=2 * size - 1, mode="linear", align_corners=False)
    return resized[0].T.to(table.dtype)


def relative_rows(table: Tensor, size: int) -> Tensor:
    """Return the rows of a relative-position table for every pair of places of an axis, `(size, size, C)`."""
    place = torch.arange(size, device=table.device)
    return resize_relative(table, size)[place[:, None] - place[None, :] + size - 1]


class GridAttention(nn.Module):
    """Attention over a grid, biased by query and relative row and column; tables are stored for a side `table_size`."""

    def __init__(self, channels: int, heads: int, table_size: int) -> None:
        super().__init__()
        self.heads = heads
        width = channels // heads
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * table_size - 1, width))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * table_size - 1, width))
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return the grid `(N, h, w, C)`."""
        n, height, width, channels = x.shape
        qkv = self.qkv(x).view(n, height * width, 3, self.heads, channels // self.heads)
        # (N, h * w, 3, heads, c) -> three times (N, heads, h * w, c)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)
        grid = query.reshape(n, self.heads, height, width, -1)
        # With the query before its scaling, while attention itself scales it: (N, heads, h, w, h) and (N, heads, h, w,
        # w)
        rows = torch.einsum("nhijc,ikc->nhijk", grid, relative_rows(self.rel_pos_h, height))
        columns = torch.einsum("nhijc,jkc->nhijk", grid, relative_rows(self.rel_pos_w, width))
        # (N, heads, h, w, h, w) -> (N, heads, h * w, h * w)
        bias = (rows[..., :, None] + columns[..., None, :]).flatten(4).flatten(2, 3)
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias)
        return self.proj(out.transpose(1, 2).reshape(n, height, width, channels))


def attend_in_windows(attention: nn.Module, x: Tensor, side: int) -> Tensor:
    """Return the grid `(N, h, w, C)` after attention inside windows of `side` x `side` tokens."""
    n, height, width, channels = x.shape
    # Filled with zeros after the norm; padded tokens are ordinary keys, as in Swin.
    padded = F.pad(x, (0, 0, 0, -width % side, 0, -height % side))
    rows, columns = padded.shape[1] // side, padded.shape[2] // side
    # (N, rows * side, columns * side, C) -> (N * windows, side, side, C), row by row, and back
    cells = padded.view(n, rows, side, columns, side, channels).transpose(2, 3)
    attended: Tensor = attention(cells.reshape(-1, side, side, channels))
    joined = attended.view(n, rows, columns, side, side, channels).transpose(2, 3)
    return joined.reshape(n, rows * side, columns * side, channels)[:, :height, :width]
