"""Attention to the (2 r + 1) x (2 r + 1) window around each cell, by dense products of bands of rows.

A tile of query cells meets only the keys within the radius of the tile: one dense product. The window of each query is
a strided view of its tile's logits: the softmax sees S x S offsets, S = 2 r + 1, and what it gives goes back the same
way into a tile of zeros. The scratch memory is that of one tile, whatever the size of the map.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import pad

from deaot_toolkit.transformer.tokens import Grid, split_axis

# Cells; small maps are fastest in one piece.
_SMALL_MAP = 256
_TILE = (4, 14)
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


def windows(tile: Tensor, queries: Grid, spans: int) -> Tensor:
    """Return a view (..., R, W, S, S) of the keys around each query of a tile.

    Query (i, j) begins at key (i, j), so a step to the next query is one to the next key as well: strides say so.

    Args:
        tile: (..., R * W, R + S - 1, W + S - 1), contiguous.
    """
    rows, columns = queries
    *batch, _, key_rows, key_columns = tile.shape
    keys = key_rows * key_columns
    strides = (columns * keys + key_columns, keys + 1, key_columns, 1)
    return tile.as_strided((*batch, rows, columns, spans, spans), (*tile.stride()[:-3], *strides))


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
        relative: (b, heads, N, S*S), added to the scaled logits; offset (dy, dx) at (dy + r)*S + dx + r, S = 2 r + 1.
        radius: r, in cells; cells outside the map are excluded.
        value_offsets: (heads, dv, S*S), added to the value of each offset; None: nothing.
        size: rows and columns of a tile; None: as measured fastest.
    """
    attend = partial(_attend, grid=grid, heads=heads, radius=radius, value_offsets=value_offsets, size=size)
    if query.is_cuda or len(query) == 1:
        return attend(query, key, values, relative)
    # One after the other, the tiles of a batch stay in a processor's cache: up to twice as fast, to the same bits.
    alike = [value.expand(len(query), -1, -1) for value in values]
    own = [
        attend(query[part], key[part], [value[part] for value in alike], relative[part])
        for part in (slice(place, place + 1) for place in range(len(query)))
    ]
    return [torch.cat(parts) for parts in zip(*own, strict=True)]


def _attend(
    query: Tensor,
    key: Tensor,
    values: Sequence[Tensor],
    relative: Tensor,
    *,
    grid: Grid,
    heads: int,
    radius: int,
    value_offsets: Tensor | None,
    size: tuple[int, int] | None,
) -> list[Tensor]:
    """Return `local_attention` of a batch as a whole."""
    spans = 2 * radius + 1
    scale = (query.shape[2] // heads) ** -0.5
    # The relative bias was made of the unscaled query, before this.
    queries, keys = _spread(query * scale, grid, heads), _spread(key, grid, heads)
    spread_values = [_spread(value, grid, heads) for value in values]
    # (b, heads, N, S * S) -> (b, heads, h, w, S, S)
    offsets = split_axis(split_axis(relative, 2, grid), 4, (spans, spans))
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
    above, below, before, after = tile.margins(radius)
    # (b, heads, R, W, d) -> (b, heads, R * W, d)
    query = queries[:, :, rows, columns].flatten(2, 3)
    key = keys[:, :, key_rows]
    # (b, heads, R * W, keys) -> (b, heads, R * W, R + 2 r, W + 2 r): outside of the map nothing weighs anything.
    logits = split_axis(torch.matmul(query, key.flatten(2, 3).transpose(2, 3)), 3, key.shape[2:4])
    logits = pad(logits, (before, after, above, below), value=float("-inf")).contiguous()
    spans = 2 * radius + 1
    # Not in place: in halves the sum may be of another type than the logits.
    own = windows(logits, tile.queries, spans) + offsets[:, :, rows, columns]
    # (b, heads, R, W, S, S) -> (b, heads, R * W, S * S)
    weights = own.flatten(4).flatten(2, 3).softmax(dim=-1)
    spread = weights.new_zeros(logits.shape)
    windows(spread, tile.queries, spans).copy_(weights.view(own.shape))
    inside = spread[:, :, :, above : logits.shape[3] - below, before : logits.shape[4] - after]
    by_key = inside.flatten(3)
    attended = [torch.matmul(by_key, value[:, :, key_rows].flatten(2, 3)) for value in values]
    if value_offsets is not None:
        # (b, heads, R * W, S * S) @ (heads, S * S, dv)
        extra = torch.matmul(weights, value_offsets.transpose(1, 2))
        attended = [result + extra for result in attended]
    return [split_axis(result, 2, tile.queries).permute(0, 2, 3, 1, 4) for result in attended]
