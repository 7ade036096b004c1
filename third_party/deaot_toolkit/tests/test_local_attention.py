"""Local attention by tiles equals the plain windowed attention."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from deaot_toolkit.transformer.local_attention import local_attention, tile_size, windows


def attend_by_cell(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    relative: Tensor,
    grid: tuple[int, int],
    heads: int,
    radius: int,
    extra: Tensor,
) -> Tensor:
    """Return the attention of one batch entry, cell by cell and head by head, as the formula reads."""
    height, width = grid
    span = 2 * radius + 1
    queries, keys, values = (part.view(height, width, heads, -1) for part in (query, key, value))
    biases = relative.view(heads, height, width, span, span)
    result = torch.zeros_like(values)
    for y in range(height):
        for x in range(width):
            offsets = [
                (dy, dx)
                for dy in range(-radius, radius + 1)
                for dx in range(-radius, radius + 1)
                if 0 <= y + dy < height and 0 <= x + dx < width
            ]
            for head in range(heads):
                scale = queries.shape[3] ** -0.5
                logits = torch.stack(
                    [
                        scale * queries[y, x, head] @ keys[y + dy, x + dx, head]
                        + biases[head, y, x, dy + radius, dx + radius]
                        for dy, dx in offsets
                    ]
                )
                for weight, (dy, dx) in zip(logits.softmax(dim=0), offsets, strict=True):
                    own = extra[head, :, (dy + radius) * span + dx + radius]
                    result[y, x, head] += weight * (values[y + dy, x + dx, head] + own)
    return result.view(height * width, -1)


@settings(max_examples=25, deadline=None)
@given(
    grid=st.tuples(st.integers(1, 7), st.integers(1, 9)),
    radius=st.integers(1, 3),
    size=st.tuples(st.integers(1, 8), st.integers(1, 10)),
    heads=st.sampled_from([1, 2]),
    seed=st.integers(0, 99),
)
def test_tiles_equal_the_formula(
    grid: tuple[int, int], radius: int, size: tuple[int, int], heads: int, seed: int
) -> None:
    random = torch.Generator().manual_seed(seed)
    count, span = grid[0] * grid[1], 2 * radius + 1
    query, key = torch.randn(2, 1, count, 4 * heads, generator=random)
    value = torch.randn(1, count, 3 * heads, generator=random)
    relative = torch.randn(1, heads, count, span**2, generator=random)
    extra = torch.randn(heads, 3, span**2, generator=random)
    (found,) = local_attention(
        query, key, [value], relative, grid=grid, heads=heads, radius=radius, value_offsets=extra, size=size
    )
    expected = attend_by_cell(query[0], key[0], value[0], relative[0], grid, heads, radius, extra)
    torch.testing.assert_close(found[0], expected, atol=1e-5, rtol=1e-5)


def test_values_of_a_batch_share_the_weights_of_one_query() -> None:
    query, key = torch.randn(2, 1, 30, 8)
    shared, own = torch.randn(1, 30, 4), torch.randn(3, 30, 6)
    relative = torch.randn(1, 1, 30, 49)
    attend = partial(local_attention, query, key, relative=relative, grid=(5, 6), heads=1, radius=3, size=(2, 4))
    first, second = attend([shared, own])
    assert first.shape == (1, 30, 4)
    for row in range(3):
        (alone,) = attend([own[row : row + 1]])
        torch.testing.assert_close(second[row : row + 1], alone)


def test_the_window_of_a_query_begins_where_the_query_is() -> None:
    tile = torch.arange(2 * 3 * 4 * 5).view(1, 6, 4, 5)
    found = windows(tile, (2, 3), 3)
    for row in range(2):
        for column in range(3):
            expected = tile[:, row * 3 + column, row : row + 3, column : column + 3]
            assert torch.equal(found[:, row, column], expected)


@pytest.mark.parametrize("grid", [(1, 1), (10, 14), (31, 54), (4, 90)])
@pytest.mark.parametrize("on_gpu", [False, True])
def test_tiles_fit_into_the_map(grid: tuple[int, int], on_gpu: bool) -> None:
    rows, columns = tile_size(grid, on_gpu=on_gpu)
    assert 1 <= rows <= grid[0]
    assert 1 <= columns <= grid[1]
