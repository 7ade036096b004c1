"""How far each cell is from the nearest cell of a row (background or an object), everywhere and nearby.

A row's map is the least squared distance of embeddings, then `squash`. Products of embeddings do not depend on labels:
they are made once for all labellings of a frame, a band or tile at a time, and only minima are taken for each.

Source: cfbi.md, section 5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from deaot_toolkit.transformer.local_attention import Tile, tiles, windows
from torch import Tensor
from torch.nn.functional import pad

NOWHERE = 5e4
"""Distance to a row without a cell: squashed it is exactly 1."""
# Cells; the products of a block and as many query cells stay in a processor's own cache until they are reduced.
_BLOCK = 512
_TILE = (16, 32)


def squash(distances: Tensor, bias: Tensor) -> Tensor:
    """Return `2 sigmoid(d + b) - 1`, up to 1; below 0 where the bias is negative."""
    return 2 * torch.sigmoid(distances + bias) - 1


def nearest_other(maps: Tensor) -> Tensor:
    """Return, for each row of finished maps (rows, ...), the least of all other rows."""
    n_rows = len(maps)
    if n_rows == 1:
        return maps
    others = ([other for other in range(n_rows) if other != row] for row in range(n_rows))
    return torch.stack([maps[of_row].amin(dim=0) for of_row in others])


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Cells of a block that no labelling tells apart.

    Args:
        number: of the group, the same in all blocks.
        places: of its cells in the block; None: the whole block.
    """

    number: int
    places: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceCells:
    """The cells of a reference frame that can be matched, and which rows of which labelling they belong to.

    Args:
        blocks: -2 y and |y|^2 of some cells each, (cells, C + 1), small enough to stay in the processor's cache.
        groups: of every block.
        rows: of every labelling and row, the numbers of the groups that it consists of.
    """

    blocks: tuple[Tensor, ...]
    groups: tuple[tuple[Group, ...], ...]
    rows: tuple[tuple[tuple[int, ...], ...], ...]

    @staticmethod
    def of(embedding: Tensor, labels: Tensor, *, n_rows: int) -> ReferenceCells:
        """Return the cells of embeddings (N, C) with labels (labellings, N); one that is no row belongs to none."""
        kinds, numbers = torch.unique(labels, dim=1, return_inverse=True)
        rows = (tuple(tuple((of_one == row).nonzero()[:, 0].tolist()) for row in range(n_rows)) for of_one in kinds)
        extended = torch.cat([embedding * -2, embedding.square().sum(dim=1, keepdim=True)], dim=1)
        groups = tuple(_group(part) for part in torch.split(numbers, _BLOCK))
        return ReferenceCells(torch.split(extended, _BLOCK), groups, tuple(rows))


def _group(numbers: Tensor) -> tuple[Group, ...]:
    found = numbers.bincount().nonzero()[:, 0].tolist()
    if len(found) == 1:
        return (Group(found[0], None),)
    return tuple(Group(number, (numbers == number).nonzero()[:, 0]) for number in found)


def distances_everywhere(query: Tensor, cells: ReferenceCells) -> list[Tensor]:
    """Return for every labelling the distances (rows, N) of query cells (N, C) to the nearest cell of each row."""
    bands: list[list[Tensor]] = []
    for band in torch.split(pad(query, (0, 1), value=1.0), _BLOCK):
        least: dict[int, Tensor] = {}
        for block, groups in zip(cells.blocks, cells.groups, strict=True):
            # (cells, band): a group's cells are whole lines, which are cheap to gather. |y|^2 - 2 x y
            products = torch.mm(block, band.T)
            for group in groups:
                marked = products if group.places is None else products.index_select(0, group.places)
                nearest = marked.amin(dim=0)
                known = least.get(group.number)
                least[group.number] = nearest if known is None else torch.minimum(known, nearest)
        nowhere = query.new_full((len(band),), NOWHERE)
        bands.append(
            [
                torch.stack([torch.stack([nowhere, *(least[number] for number in row)]).amin(dim=0) for row in rows])
                for rows in cells.rows
            ]
        )
    lengths = query.square().sum(dim=1)
    return [torch.cat(parts, dim=1) + lengths for parts in zip(*bands, strict=True)]


def distances_nearby(
    query: Tensor, previous: Tensor, labels: Tensor, *, n_rows: int, radii: Sequence[int], rate: int
) -> list[Tensor]:
    """Return for every labelling the distances (rows, windows, h, w) to the nearest cell of each row in each window.

    Args:
        query: (C, h, w).
        previous: (C, h, w), of the frame before.
        labels: (labellings, h, w) of the frame before; a label that is no row belongs to none.
        radii: of the windows in cells, ascending.
        rate: only offsets that are multiples of it count.
    """
    results = [query.new_empty(n_rows, len(radii), *query.shape[1:]) for _ in labels]
    # Offsets that are multiples of the rate stay within one of rate x rate grids.
    for top in range(rate):
        for left in range(rate):
            own = (..., slice(top, None, rate), slice(left, None, rate))
            within = [radius // rate for radius in radii]
            if query[own].numel():
                _fill_grid([result[own] for result in results], query[own], previous[own], labels[own], within)
    lengths = query.square().sum(dim=0)
    return [result.add_(lengths) for result in results]


def _fill_grid(
    results: Sequence[Tensor], query: Tensor, previous: Tensor, labels: Tensor, radii: Sequence[int]
) -> None:
    """Write |y|^2 - 2 x y of the nearest cells into `results`, each (rows, windows, h, w)."""
    radius = radii[-1]
    edges = (radius,) * 4
    lengths = pad(previous.square().sum(dim=0), edges)
    # Beyond the border no row has a cell.
    known = pad(labels.to(torch.int16), edges, value=-1)
    order, ends = _ring_order(radii, query.device)
    for tile in (tile for strip in tiles((query.shape[1], query.shape[2]), radius, _TILE) for tile in strip):
        around = (slice(tile.top, tile.bottom + 2 * radius), slice(tile.left, tile.right + 2 * radius))
        products = _tile_products(tile, query, previous, radius).add_(lengths[around])
        near = _by_ring(windows(products, tile.queries, 2 * radius + 1), order)
        inside = (slice(tile.top, tile.bottom), slice(tile.left, tile.right))
        for result, of_one in zip(results, known, strict=True):
            marked = of_one[around].unfold(0, 2 * radius + 1, 1).unfold(1, 2 * radius + 1, 1)
            rows_near = _by_ring(marked, order)
            for row in range(len(result)):
                minima = _nested_minima(near.masked_fill(rows_near != row, NOWHERE), ends)
                result[row, :, *inside] = minima.reshape(-1, *tile.queries)


def _tile_products(tile: Tile, query: Tensor, previous: Tensor, radius: int) -> Tensor:
    """Return -2 x y of a tile's query cells and the cells around, (R * W, R + 2 r, W + 2 r), 0 beyond the border."""
    cells = query[:, tile.top : tile.bottom, tile.left : tile.right].flatten(1)
    around = previous[:, tile.key_top : tile.key_bottom, tile.key_left : tile.key_right]
    products = torch.matmul(cells.T * -2, around.flatten(1)).reshape(-1, *around.shape[1:])
    above, below, before, after = tile.margins(radius)
    return pad(products, (before, after, above, below)).contiguous()


def _ring_order(radii: Sequence[int], device: torch.device) -> tuple[Tensor, list[int]]:
    """Return the places of a window's cells (S * S), innermost ring first, and where each nested window ends."""
    offsets = torch.arange(-radii[-1], radii[-1] + 1, device=device).abs()
    distances = torch.maximum(offsets[:, None], offsets[None]).flatten()
    return distances.argsort(), [(2 * radius + 1) ** 2 for radius in radii]


def _by_ring(near: Tensor, order: Tensor) -> Tensor:
    """Return what lies around each query, (R, W, S, S), as (S * S, R * W), innermost ring first."""
    return near.flatten(2).flatten(0, 1).T.index_select(0, order)


def _nested_minima(near: Tensor, ends: Sequence[int]) -> Tensor:
    """Return the least of nested windows, (windows, queries), of values (S * S, queries) in ring order."""
    least = near[: ends[0]].amin(dim=0)
    minima = [least]
    # Every value is read once: a window is the one inside it and a ring.
    for start, end in pairwise(ends):
        least = torch.minimum(least, near[start:end].amin(dim=0))
        minima.append(least)
    return torch.stack(minima)
