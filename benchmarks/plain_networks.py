"""AOT and DeAOT written out plainly, on the weights of a toolkit network: the other side of the comparison.

Attention is an explicit softmax over a whole matrix; local attention unfolds the keys of every window and
fills a dense matrix with the weights; nothing is kept between frames but the memories. Batch size is one and
tokens are (N, C).
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from deaot_toolkit import products
from torch import Tensor

Grid = tuple[int, int]


@dataclass(frozen=True, slots=True)
class PlainEntry:
    """What one layer remembers of a frame: key (N, d) and value (N, dv)."""

    key: Tensor
    value: Tensor


def torch_alone() -> AbstractContextManager[object]:
    """Let linear layers and 1x1 convolutions be torch's own, as in the official code."""
    return patch.object(products, "_is_direct", lambda inputs, weight: False)


def attend(query: Tensor, key: Tensor, value: Tensor, heads: int) -> Tensor:
    """Return multi-head attention (N, C) over all keys."""
    queries, keys, values = (_split(part, heads) for part in (query, key, value))
    weights = (queries / math.sqrt(queries.shape[2]) @ keys.transpose(1, 2)).softmax(dim=2)
    return _join(weights @ values)


def _split(tokens: Tensor, heads: int) -> Tensor:
    return tokens.reshape(len(tokens), heads, -1).transpose(0, 1)


def _join(per_head: Tensor) -> Tensor:
    return per_head.transpose(0, 1).flatten(1)


def attend_window(
    query: Tensor, memory: PlainEntry, relative: Tensor, grid: Grid, heads: int, radius: int, offset_values: Any = None
) -> Tensor:
    """Return windowed attention (N, C); `relative` is (heads, offsets, N)."""
    span = 2 * radius + 1
    count = grid[0] * grid[1]
    inside = F.unfold(torch.ones(1, 1, *grid), span, padding=radius)[0] > 0
    cells = torch.arange(count, dtype=torch.float32).view(1, 1, *grid)
    columns = F.unfold(cells, span, padding=radius)[0].long().masked_fill(~inside, count).t()
    results = []
    per_head = zip(*(_split(part, heads) for part in (query, memory.key, memory.value)), strict=True)
    for head, (queries, keys, values) in enumerate(per_head):
        unfolded = F.unfold(keys.t().reshape(1, -1, *grid), span, padding=radius).view(-1, span * span, count)
        logits = ((queries.t() / math.sqrt(queries.shape[1]))[:, None] * unfolded).sum(dim=0) + relative[head]
        weights = logits.masked_fill(~inside, -1e8).softmax(dim=0).t()
        dense = torch.zeros(count, count + 1).scatter_(1, columns, weights)[:, :count]
        attended = dense @ values
        if offset_values is not None:
            attended = attended + weights @ offset_values[head].t()
        results.append(attended)
    return torch.cat(results, dim=1)


def convolve(tokens: Tensor, grid: Grid, convolution: Any) -> Tensor:
    """Return tokens (N, C) passed through a convolution on the grid."""
    result: Tensor = convolution(tokens.t().reshape(1, -1, *grid))
    return result[0].flatten(1).t()


def group_norm(tokens: Tensor, norm: Any) -> Tensor:
    """Return tokens (N, C) normalised over all tokens and the channels of each group."""
    return F.group_norm(tokens.t()[None], norm.num_groups, norm.weight, norm.bias, norm.eps)[0].t()


def sine_positions(grid: Grid, channels: int) -> Tensor:
    """Return the position encoding (N, channels)."""
    half = channels // 2
    frequencies = 10000.0 ** (2 * (torch.arange(half) // 2) / half)
    axes = []
    for length in grid:
        phase = (2 * math.pi * torch.arange(length) / (length - 1 + 1e-6))[:, None] / frequencies
        axes.append(torch.where(torch.arange(half) % 2 == 0, phase.sin(), phase.cos()))
    rows = axes[0][:, None].expand(*grid, half)
    return torch.cat([rows, axes[1][None].expand(*grid, half)], dim=2).flatten(0, 1)


class PlainAot:
    """The long short-term transformer, layer by layer."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.radius = network.config.local_radius
        self.heads = network.config.heads

    def read(
        self, tokens: Tensor, grid: Grid, long: list[PlainEntry], short: list[PlainEntry], identity: Any
    ) -> tuple[Tensor, list[Any]]:
        """Return the decoder's tokens (N, (layers + 1) * C) and what memory entries are made of."""
        outputs, seen = [tokens], []
        positions = sine_positions(grid, tokens.shape[1])
        transformer = self.network.LSTT
        for index, layer in enumerate(transformer.layers):
            own = layer.self_attn
            normed = layer.norm1(tokens)
            placed = normed + positions
            attended = attend(own.linear_Q(placed), own.linear_K(placed), own.linear_V(normed), self.heads)
            tokens = tokens + own.projection(attended)
            normed = layer.norm2(tokens)
            query = layer.linear_Q(normed)
            seen.append((query, normed))
            if identity is not None:
                entry = self.entry(index, seen[-1], identity)
                sources = entry, entry
            else:
                sources = long[index], short[index]
            update = layer.long_term_attn.projection(attend(query, sources[0].key, sources[0].value, self.heads))
            tokens = tokens + update + self._window(layer.short_term_attn, query, sources[1], grid)
            hidden = F.gelu(group_norm(layer.linear1(layer.norm3(tokens)), layer.activation.gn))
            tokens = tokens + layer.linear2(convolve(hidden, grid, layer.activation.conv))
            outputs.append(transformer.decoder_norms[index](tokens))
        return torch.cat(outputs, dim=1), seen

    def entry(self, index: int, seen: Any, identity: Tensor) -> PlainEntry:
        """Return what a layer remembers of a frame with this id embedding (N, C)."""
        query, normed = seen
        return PlainEntry(query, self.network.LSTT.layers[index].linear_V(normed + identity))

    def _window(self, module: Any, query: Tensor, memory: PlainEntry, grid: Grid) -> Tensor:
        relative = module.relative_emb_k(query.t().reshape(1, -1, *grid)).view(self.heads, -1, len(query))
        attended = attend_window(query, memory, relative, grid, self.heads, self.radius, module.relative_emb_v)
        result: Tensor = module.projection(attended)
        return result


class PlainDeaot:
    """The gated propagation module, layer by layer."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.radius = network.config.local_radius

    def read(
        self, tokens: Tensor, grid: Grid, long: list[PlainEntry], short: list[PlainEntry], identity: Any
    ) -> tuple[Tensor, list[Any]]:
        """Return the decoder's tokens (N, 2C) and what memory entries are made of."""
        ids, seen, channels = torch.zeros_like(tokens), [], tokens.shape[1]
        for index, layer in enumerate(self.network.LSTT.layers):
            normed = layer.norm1(tokens)
            query, visual = layer.linear_QV(normed).split([channels // 2, 2 * channels], dim=1)
            normed_ids = layer.id_norm1(ids) if index else None
            gate = F.silu(layer.linear_U(normed))
            id_gate = torch.ones_like(gate) if normed_ids is None else F.silu(layer.linear_ID_U(normed_ids))
            seen.append((query, F.silu(visual), normed_ids))
            if identity is not None:
                entry = self.entry(index, seen[-1], identity)
                sources = entry, entry
            else:
                sources = long[index], short[index]
            gates = torch.cat([gate, id_gate], dim=1)
            update = self._finish(layer.long_term_attn, attend(query, sources[0].key, sources[0].value, 1), gates, grid)
            update = update + self._window(layer.short_term_attn, query, sources[1], gates, grid)
            tokens, ids = tokens + update[:, :channels], ids + update[:, channels:]
            update = self._self_attention(layer, tokens, ids, grid)
            tokens, ids = tokens + update[:, :channels], ids + update[:, channels:]
        return group_norm(torch.cat([tokens, ids], dim=1), self.network.LSTT.decoder_norms[0].gn), seen

    def entry(self, index: int, seen: Any, identity: Tensor) -> PlainEntry:
        """Return what a layer remembers of a frame with this id embedding (N, C)."""
        query, visual, normed_ids = seen
        known = identity if normed_ids is None else torch.cat([normed_ids, identity], dim=1)
        id_value = F.silu(self.network.LSTT.layers[index].linear_ID_V(known))
        return PlainEntry(query, torch.cat([visual, id_value], dim=1))

    def _self_attention(self, layer: Any, tokens: Tensor, ids: Tensor, grid: Grid) -> Tensor:
        visual, normed_ids = layer.norm2(tokens), layer.id_norm2(ids)
        own = layer.self_attn
        query = own.linear_QK(torch.cat([visual, normed_ids], dim=1))
        values = F.silu(torch.cat([own.linear_V1(visual), own.linear_V2(normed_ids)], dim=1))
        gates = F.silu(torch.cat([own.linear_U1(visual), own.linear_U2(normed_ids)], dim=1))
        return self._finish(own, attend(query, query, values, 1), gates, grid)

    def _window(self, module: Any, query: Tensor, memory: PlainEntry, gates: Tensor, grid: Grid) -> Tensor:
        relative = module.relative_emb_k(query.t().reshape(1, -1, *grid)).view(1, -1, len(query))
        return self._finish(module, attend_window(query, memory, relative, grid, 1, self.radius), gates, grid)

    def _finish(self, module: Any, attended: Tensor, gates: Tensor, grid: Grid) -> Tensor:
        result: Tensor = module.projection(convolve(attended * gates, grid, module.dw_conv.conv))
        return result
