"""AOT's long short-term transformer. Source: Yang et al., Associating Objects with Transformers, 2021."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu

from deaot_toolkit.configs import NetworkConfig
from deaot_toolkit.transformer.attention import attend_heads
from deaot_toolkit.transformer.layers import DropPath, TokenGroupNorm
from deaot_toolkit.transformer.local_attention import local_attention
from deaot_toolkit.transformer.memory import LayerEntry, LayerMemory, read_memory
from deaot_toolkit.transformer.positions import sine_positions
from deaot_toolkit.transformer.tokens import Grid, split_axis, to_map, to_tokens

_GROUPS = 32


class AotLooked(NamedTuple):
    """A frame seen by a layer before any memory is read; in the first layer it depends on the image only.

    Tokens (B, N, C) after self-attention, their norm, and the query, which is the key as well.
    """

    tokens: Tensor
    normed: Tensor
    query: Tensor


class SelfAttention(nn.Module):
    """Multi-head attention of a frame with itself."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.linear_Q = nn.Linear(channels, channels)
        self.linear_K = nn.Linear(channels, channels)
        self.linear_V = nn.Linear(channels, channels)
        self.projection = nn.Linear(channels, channels)
        self.heads = heads

    def forward(self, tokens: Tensor, positions: Tensor) -> Tensor:
        """Return (B, N, C); positions are added to query and key only."""
        # Positions say where, not what: the values stay without them.
        placed = tokens + positions
        attended = attend_heads(self.linear_Q(placed), self.linear_K(placed), self.linear_V(tokens), heads=self.heads)
        return self.projection(attended)


class LongTermAttention(nn.Module):
    """Multi-head attention to all remembered frames, without input projections."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.projection = nn.Linear(channels, channels)
        self.heads = heads

    def forward(self, query: Tensor, memory: LayerEntry) -> Tensor:
        """Return (B, N, C)."""
        return self.projection(attend_heads(query, memory.key, memory.values[0], heads=self.heads))


class ShortTermAttention(nn.Module):
    """Multi-head attention to the window around the same cell of the previous frame, with relative embeddings."""

    def __init__(self, channels: int, heads: int, radius: int) -> None:
        super().__init__()
        offsets = (2 * radius + 1) ** 2
        self.relative_emb_v = nn.Parameter(torch.zeros(heads, channels // heads, offsets))
        self.relative_emb_k = nn.Conv2d(channels, heads * offsets, 1, groups=heads)
        self.projection = nn.Linear(channels, channels)
        self.heads = heads
        self.radius = radius

    def forward(self, query: Tensor, memory: LayerEntry, grid: Grid) -> Tensor:
        """Return (B, N, C)."""
        relative = self._relative(query)
        (attended,) = local_attention(
            query,
            memory.key,
            memory.values,
            relative,
            grid=grid,
            heads=self.heads,
            radius=self.radius,
            value_offsets=self.relative_emb_v,
        )
        return self.projection(attended)

    def _relative(self, query: Tensor) -> Tensor:
        """Return one bias for every offset of each query's window, (B, heads, N, offsets)."""
        weight, bias = (split_axis(part, 0, (self.heads, -1)) for part in self.relative_emb_k.parameters())
        # The grouped 1x1 convolution as one product a head: (heads, B * N, C / heads) @ (heads, C / heads, offsets)
        by_head = split_axis(query, 2, (self.heads, -1)).flatten(0, 1).transpose(0, 1)
        relative = torch.baddbmm(bias[:, None], by_head, weight.flatten(2).transpose(1, 2))
        return split_axis(relative, 1, query.shape[:2]).transpose(0, 1)


class GatedActivation(nn.Module):
    """Group norm, exact GELU and a depthwise convolution, between the two linear maps of the feed-forward part."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gn = TokenGroupNorm(_GROUPS, channels)
        self.conv = nn.Conv2d(channels, channels, 5, padding=2, groups=channels, bias=False)

    def forward(self, tokens: Tensor, grid: Grid) -> Tensor:
        """Return tokens (B, N, channels)."""
        return to_tokens(self.conv(to_map(gelu(self.gn(tokens)), grid)))


class AotLayer(nn.Module):
    """Self-attention, long- and short-term attention, feed-forward."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        channels, heads = config.embedding_dim, config.heads
        self.norm1 = nn.LayerNorm(channels)
        self.self_attn = SelfAttention(channels, heads)
        self.norm2 = nn.LayerNorm(channels)
        self.linear_Q = nn.Linear(channels, channels)
        self.linear_V = nn.Linear(channels, channels)
        self.long_term_attn = LongTermAttention(channels, heads)
        self.short_term_attn = ShortTermAttention(channels, heads, config.local_radius)
        self.norm3 = nn.LayerNorm(channels)
        self.linear1 = nn.Linear(channels, config.feed_forward_dim)
        self.activation = GatedActivation(config.feed_forward_dim)
        self.linear2 = nn.Linear(config.feed_forward_dim, channels)
        self.drop_path = DropPath(config.drop_path)

    def look(self, tokens: Tensor, positions: Tensor) -> AotLooked:
        """Return the frame after self-attention, with its query."""
        tokens = tokens + self.drop_path(self.self_attn(self.norm1(tokens), positions))
        # One projection serves as query now and as key once the frame is remembered.
        normed = self.norm2(tokens)
        return AotLooked(tokens, normed, self.linear_Q(normed))

    def entry(self, looked: AotLooked, identity: Tensor) -> LayerEntry:
        """Return the frame's memory entry once its id embedding (B, N, C) is known."""
        # The identity enters the values only: where to look follows from the image, what is found from the labels.
        return LayerEntry(looked.query, (self.linear_V(looked.normed + identity),))

    def forward(self, looked: AotLooked, memory: LayerMemory, grid: Grid) -> Tensor:
        """Return the layer's output tokens (B, N, C)."""
        long = self.long_term_attn(looked.query, memory.long)
        short = self.short_term_attn(looked.query, memory.short, grid)
        # (1 or B, N, C) + (B, N, C): the first layer's tokens are shared by all expressions.
        tokens: Tensor = looked.tokens + long + short
        hidden = self.activation(self.linear1(self.norm3(tokens)), grid)
        return tokens + self.drop_path(self.linear2(hidden))


class LongShortTermTransformer(nn.Module):
    """The stack of layers; the decoder reads every layer's normalised output."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        channels = config.embedding_dim
        self.mask_token = nn.Parameter(torch.zeros(1, 1, channels))  # in the files, read by nothing
        self.layers = nn.ModuleList([AotLayer(config) for _ in range(config.layers)])
        self.decoder_norms = nn.ModuleList([nn.LayerNorm(channels) for _ in range(config.layers)])
        self.channels = channels

    def look_first(self, tokens: Tensor, grid: Grid) -> AotLooked:
        """Return what the first layer makes of the projected image tokens (B, N, C) alone."""
        return self._blocks()[0].look(tokens, sine_positions(*grid, self.channels, tokens.device))

    def _blocks(self) -> list[AotLayer]:
        return [layer for layer in self.layers if isinstance(layer, AotLayer)]

    def forward(
        self,
        first: AotLooked,
        grid: Grid,
        *,
        memory: Sequence[LayerMemory] | None,
        identity: Tensor | None,
        finish: bool = True,
    ) -> tuple[Tensor | None, list[AotLooked]]:
        """Return the decoder's tokens (B, N, layers*C) and what each layer saw.

        Args:
            memory: of each layer; None: a reference frame, which reads itself with `identity` (B, N, C).
            finish: false: the last layer only looks, as its output is read by the decoder alone; tokens are None.
        """
        positions = sine_positions(*grid, self.channels, first.tokens.device)
        seen, outputs, tokens = [first], [], first.tokens
        for index, (layer, norm) in enumerate(zip(self._blocks(), self.decoder_norms, strict=True)):
            # The first layer's view depends on the image alone and was made with the features.
            if index:
                seen.append(layer.look(tokens, positions))
            if not finish and index == len(self.layers) - 1:
                return None, seen
            tokens = layer(seen[-1], read_memory(partial(layer.entry, seen[-1]), index, memory, identity), grid)
            outputs.append(norm(tokens))
        # layers x (B, N, C) -> (B, N, layers x C)
        return torch.cat(outputs, dim=2), seen

    def remember(self, seen: Sequence[AotLooked], identity: Tensor) -> tuple[LayerEntry, ...]:
        """Return the frame's memory entry of each layer."""
        return tuple(layer.entry(looked, identity) for layer, looked in zip(self._blocks(), seen, strict=True))
