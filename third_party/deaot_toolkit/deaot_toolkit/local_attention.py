"""Attention to the (2 r + 1) x (2 r + 1) window around each cell, by dense products of bands of rows.

A tile of query cells meets only the keys within the radius of the tile: one dense product, with offsets
outside a query's own window excluded. The scratch memory is that of one tile, whatever the size of the map.
The relative bias of a query is laid out over the keys of its tile by *skewing*: a row of S = 2 r + 1 offsets is
padded to the tile's width and the padded rows are read one element further each, which copies memory but
needs no index.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import pad

from deaot_toolkit.tokens import Grid, split_axis

# Cells; small maps are fastest in one piece.
_SMALL_MAP = 256
_TILE = (4, 18)
_GPU_TILE = (8, 64)


@dataclass(frozen=True, slots=True)
class Tile:
    """Query cells [top, bottom) x [left, right) and the key cells within their radius, clipped to the map."""

    top: int
    bottom: int
    left: int
    right: int
    key_top: int
    key_bottom: int
    key_left: int
    key_right: int

    @property
    def queries(self) -> tuple[int, int]:
        """Rows and columns of queries."""
        return self.bottom - self.top, self.right - self.left

    def margins(self, radius: int) -> tuple[int, int, int, int]:
        """Key rows above and below, columns left and right, that lie outside the map."""
        return (
            self.key_top - (self.top - radius),
            self.bottom + radius - self.key_bottom,
            self.key_left - (self.left - radius),
            self.right + radius - self.key_right,
        )


def tile_size(grid: Grid, *, on_gpu: bool = False) -> tuple[int, int]:
    """Return rows and columns of a tile: small maps in one piece, else large enough for one good product."""
    height, width = grid
    if height * width <= _SMALL_MAP:
        return height, width
    rows, columns = _GPU_TILE if on_gpu else _TILE
    return min(rows, height), min(columns, width)


def tiles(grid: Grid, radius: int, size: tuple[int, int]) -> Iterator[list[Tile]]:
    """Yield, for each strip of columns, its tiles from top to bottom."""
    height, width = grid
    for left in range(0, width, size[1]):
        right = min(left + size[1], width)
        columns = (left, right, max(0, left - radius), min(width, right + radius))
        strip = []
        for top in range(0, height, size[0]):
            bottom = min(top + size[0], height)
            rows = (max(0, top - radius), min(height, bottom + radius))
            strip.append(Tile(top, bottom, left, right, *rows, *columns[2:]))
        yield strip


def skew(offsets: Tensor) -> Tensor:
    """Return (..., R, R + S - 1) whose row i holds the S offsets of row i from column i on, -inf elsewhere.

    Args:
        offsets: (..., R, S).
    """
    rows, span = offsets.shape[-2:]
    # Rows of S offsets and R times -inf, read again as rows that are one element shorter: row i begins i places later.
    flat = pad(offsets, (0, rows), value=float("-inf")).flatten(-2)
    return split_axis(flat[..., : rows * (rows + span - 1)], -1, (rows, rows + span - 1))


def unskew(weights: Tensor) -> Tensor:
    """Return the offsets (..., R, S) of weights (..., R, R + S - 1): the inverse of `skew`."""
    rows, columns = weights.shape[-2:]
    # The same with one element more a row.
    shifted = split_axis(pad(weights.flatten(-2), (0, rows)), -1, (rows, columns + 1))
    return shifted[..., : columns - rows + 1]


def _tile_bias(relative: Tensor, tile: Tile, radius: int) -> Tensor:
    """Return the bias (b, heads, R, W, key rows, key columns) of a tile; `relative` is (b, heads, R, W, S, S)."""
    above, below, before, after = tile.margins(radius)
    by_column = skew(relative.transpose(3, 4))  # (b, heads, R, S, W, columns)
    by_column = by_column[..., before : by_column.shape[-1] - after]
    by_row = skew(by_column.permute(0, 1, 4, 5, 2, 3))  # (b, heads, W, columns, R, rows)
    by_row = by_row[..., above : by_row.shape[-1] - below]
    return by_row.permute(0, 1, 4, 2, 5, 3)


def _weights_by_offset(weights: Tensor, tile: Tile, radius: int) -> Tensor:
    """Return the attention (b, heads, R*W, S*S) of each offset; `weights` is (b, heads, R, W, rows, columns)."""
    above, below, before, after = tile.margins(radius)
    full = pad(weights, (before, after, above, below))
    by_column = unskew(full.permute(0, 1, 2, 4, 3, 5))  # (b, heads, R, rows, W, S)
    by_row = unskew(by_column.permute(0, 1, 4, 5, 2, 3))  # (b, heads, W, S, R, S)
    return by_row.permute(0, 1, 4, 2, 5, 3).flatten(4).flatten(2, 3)


def _spread(tokens: Tensor, grid: Grid, heads: int) -> Tensor:
    """Return tokens (b, N, heads*d) as (b, heads, h, w, d)."""
    return split_axis(split_axis(tokens, 1, grid), 3, (heads, -1)).permute(0, 3, 1, 2, 4)


def local_attention(
    query: Tensor,
    key: Tensor,
    values: Sequence[Tensor],
    relative: Tensor,
    *,
    grid: Grid,
    heads: int,
    radius: int,
    value_offsets: Tensor | None = None,
    size: tuple[int, int] | None = None,
) -> list[Tensor]:
    """Return windowed attention, one (1 or B, N, heads*dv) for each of `values`.

    Query, key and relative share one batch size (1 or B): the attention weights are computed once for all
    values that are stacked on them.

    Args:
        query: (b, N, heads*d), N = rows*columns of `grid`; scaled by 1/sqrt(d) here.
        key: (b, N, heads*d), of the frame that is read.
        values: each (1 or B, N, heads*dv), of the frame that is read.
        relative: (b, N, heads*S*S), added to the scaled logits; offset (dy, dx) at (dy + r)*S + dx + r, S = 2 r + 1.
        radius: r, in cells; cells outside the map are excluded.
        value_offsets: (heads, dv, S*S), added to the value of each offset; None: nothing.
        size: rows and columns of a tile; None: as measured fastest.
    """
    spans = 2 * radius + 1
    scale = (query.shape[2] // heads) ** -0.5
    # The relative bias was made of the unscaled query, before this.
    queries, keys = _spread(query * scale, grid, heads), _spread(key, grid, heads)
    spread_values = [_spread(value, grid, heads) for value in values]
    # (b, N, heads * S * S) -> (b, heads, h, w, S, S)
    offsets = split_axis(split_axis(relative, 1, grid), 3, (heads, spans, spans)).permute(0, 3, 1, 2, 4, 5)
    strips = []
    for strip in tiles(grid, radius, size or tile_size(grid, on_gpu=query.is_cuda)):
        columns = slice(strip[0].key_left, strip[0].key_right)
        # Contiguous once a strip, so that each of its tiles is a view.
        strip_keys = keys[:, :, :, columns].contiguous()
        strip_values = [value[:, :, :, columns].contiguous() for value in spread_values]
        bands = [
            _attend_tile(tile, queries, strip_keys, strip_values, offsets, value_offsets, radius) for tile in strip
        ]
        strips.append([torch.cat(parts, dim=1) for parts in zip(*bands, strict=True)])
    # strips of (B, h, w', heads, dv) -> (B, h, w, heads * dv) -> (B, N, heads * dv)
    return [torch.cat(parts, dim=2).flatten(3).flatten(1, 2) for parts in zip(*strips, strict=True)]


def _attend_tile(
    tile: Tile,
    queries: Tensor,
    keys: Tensor,
    values: Sequence[Tensor],
    offsets: Tensor,
    value_offsets: Tensor | None,
    radius: int,
) -> list[Tensor]:
    """Return the attention of one tile's queries, (1 or B, R, W, heads, dv) for each of `values`."""
    rows, columns = slice(tile.top, tile.bottom), slice(tile.left, tile.right)
    key_rows = slice(tile.key_top, tile.key_bottom)
    # (b, heads, R, W, d) -> (b, heads, R * W, d)
    query = queries[:, :, rows, columns].flatten(2, 3)
    key = keys[:, :, key_rows].flatten(2, 3)
    bias = _tile_bias(offsets[:, :, rows, columns], tile, radius)
    # (b, heads, R * W, keys) -> (b, heads, R, W, key rows, key columns)
    logits = torch.matmul(query, key.transpose(2, 3)).view(bias.shape)
    # The bias is -inf outside of each query's window, so what the tile has too much weighs nothing.
    weights = (logits + bias).flatten(4).softmax(dim=-1).flatten(2, 3)
    attended = [torch.matmul(weights, value[:, :, key_rows].flatten(2, 3)) for value in values]
    if value_offsets is not None:
        by_offset = _weights_by_offset(weights.view(bias.shape), tile, radius)
        # (b, heads, R * W, S * S) @ (heads, S * S, dv)
        extra = torch.matmul(by_offset, value_offsets.transpose(1, 2))
        attended = [result + extra for result in attended]
    return [split_axis(result, 2, tile.queries).permute(0, 2, 3, 1, 4) for result in attended]
