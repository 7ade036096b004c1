"""Softmax attention over all memory tokens, a band of queries at a time."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from deaot_toolkit.transformer.tokens import split_axis

_SCRATCH_ELEMENTS = 1 << 19
_LEAST_ROWS = 256  # fewer rows make slow matrix products


def attend_heads(query: Tensor, key: Tensor, value: Tensor, *, heads: int) -> Tensor:
    """Return multi-head attention (B, N, C) of (1 or B, N or M, C), scale 1/sqrt(C / heads), by the fused kernel."""
    batch = max(query.shape[0], value.shape[0])
    # (B, N, C) -> (B, heads, N, C / heads)
    split = [split_axis(part, 2, (heads, -1)).transpose(1, 2) for part in (query, key, value)]
    queries, keys, values = (part.expand(batch, -1, -1, -1) for part in split)
    attended = scaled_dot_product_attention(queries, keys, values)
    # (B, heads, N, C / heads) -> (B, N, C)
    return attended.transpose(1, 2).flatten(2)


def attend_wide(query: Tensor, key: Tensor, values: Sequence[Tensor]) -> list[Tensor]:
    """Return one-head attention for values wider than the keys: one (1 or B, N, dv) for each of `values`.

    The fused kernels fall back to a slow path for unequal widths, so the queries are taken in chunks whose
    logits stay in the processor's cache. Where query and key have batch 1 and some values have batch B, the
    attention weights are computed once for all of them.

    Args:
        query: (1 or B, N, d); the scale is 1/sqrt(d).
        key: (1 or B, M, d).
        values: each (1 or B, M, dv).
    """
    # By the width of the keys although the values together are eight times wider.
    scaled = query * query.shape[2] ** -0.5
    transposed = key.transpose(1, 2)
    rows = max(_LEAST_ROWS, _SCRATCH_ELEMENTS // key.shape[1])
    chunks: list[list[Tensor]] = [[] for _ in values]
    for part in scaled.split(rows, dim=1):
        # (1 or B, rows, d) @ (1 or B, d, M)
        weights = torch.matmul(part, transposed).softmax(dim=-1)
        for chunk, value in zip(chunks, values, strict=True):
            chunk.append(torch.matmul(weights, value))
    return [torch.cat(chunk, dim=1) for chunk in chunks]
