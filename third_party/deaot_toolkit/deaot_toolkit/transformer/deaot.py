"""DeAOT's gated propagation. Source: Yang and Yang, Decoupling Features in Hierarchical Propagation, 2022."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from deaot_toolkit.configs import NetworkConfig
from deaot_toolkit.products import direct_linear
from deaot_toolkit.transformer.attention import attend_wide
from deaot_toolkit.transformer.layers import DepthwiseConvolution, DropPath, TokenGroupNorm
from deaot_toolkit.transformer.local_attention import local_attention
from deaot_toolkit.transformer.memory import LayerEntry, LayerMemory, read_memory
from deaot_toolkit.transformer.tokens import Grid

_EXPANSION = 2
# One group a stream.
_OUTPUT_GROUPS = 2


class DeaotLooked(NamedTuple):
    """A frame seen by a layer before any memory is read; in the first layer it depends on the image only.

    Args:
        tokens: visual stream (B, N, C).
        query: (B, N, C/2), also the key.
        visual: visual value (B, N, 2C).
        gate: of the visual half (B, N, 2C).
        ids: identity stream (B, N, C); None in the first layer, where it is 0.
        normed_ids: its norm; None likewise.
        id_gate: gate of the identity half (B, N, 2C); None: 1.
    """

    tokens: Tensor
    query: Tensor
    visual: Tensor
    gate: Tensor
    ids: Tensor | None = None
    normed_ids: Tensor | None = None
    id_gate: Tensor | None = None


class GatedOutput(nn.Module):
    """Gate, depthwise convolution and projection of an attention result with a visual and an identity half.

    The halves are kept apart until the projection: in the first layer the visual half is the same for all
    expressions that share the frame, and is computed once (batch 1).
    """

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__()
        width = 2 * _EXPANSION * channels
        self.dw_conv = DepthwiseConvolution(width, dropout=dropout)
        # Both halves go in and both come out, so the visual stream learns of the masks in the first layer already.
        self.projection = nn.Linear(width, 2 * channels)

    def finish(self, halves: Sequence[Tensor], gates: Sequence[Tensor | None], grid: Grid) -> Tensor:
        """Return (B, N, 2C) from halves (1 or B, N, 2C) and their gates; a gate of None is 1."""
        gated = [half if gate is None else half * gate for half, gate in zip(halves, gates, strict=True)]
        if len({half.shape[0] for half in gated}) == 1:
            return self.projection(self.dw_conv(torch.cat(gated, dim=2), grid))
        # Halves of batch 1 and batch B: convolution and projection are linear in the channels, so each half goes
        # through its own share of the weights, and the shared one only once.
        split = gated[0].shape[2]
        parts = (slice(0, split), slice(split, None))
        result: Tensor = self.projection.bias
        for half, part in zip(gated, parts, strict=True):
            result = result + direct_linear(self.dw_conv(half, grid, part), self.projection.weight[:, part])
        return result


class GatedLongTermAttention(GatedOutput):
    """Attention to all remembered frames, without input projections."""

    def forward(self, query: Tensor, memory: LayerEntry, gates: Sequence[Tensor | None], grid: Grid) -> Tensor:
        """Return (B, N, 2C): visual and identity updates."""
        return self.finish(attend_wide(query, memory.key, memory.values), gates, grid)


class GatedShortTermAttention(GatedOutput):
    """Attention to the window around the same cell of the previous frame, with a relative bias."""

    def __init__(self, channels: int, dropout: float, radius: int) -> None:
        super().__init__(channels, dropout)
        self.relative_emb_k = nn.Conv2d(channels // 2, (2 * radius + 1) ** 2, 1)
        self.radius = radius

    def forward(self, query: Tensor, memory: LayerEntry, gates: Sequence[Tensor | None], grid: Grid) -> Tensor:
        """Return (B, N, 2C): visual and identity updates."""
        # A 1x1 convolution on tokens: (B, N, C/2) -> (B, 1, N, offsets), one bias for every place of the window.
        relative = direct_linear(query, self.relative_emb_k.weight.flatten(1), self.relative_emb_k.bias)[:, None]
        halves = local_attention(query, memory.key, memory.values, relative, grid=grid, heads=1, radius=self.radius)
        return self.finish(halves, gates, grid)


class GatedSelfAttention(GatedOutput):
    """Attention of a frame with itself, from both streams."""

    def __init__(self, channels: int, dropout: float) -> None:
        super().__init__(channels, dropout)
        self.linear_QK = nn.Linear(2 * channels, channels // 2)
        self.linear_V1 = nn.Linear(channels, _EXPANSION * channels)
        self.linear_V2 = nn.Linear(channels, _EXPANSION * channels)
        self.linear_U1 = nn.Linear(channels, _EXPANSION * channels)
        self.linear_U2 = nn.Linear(channels, _EXPANSION * channels)

    def forward(self, visual: Tensor, ids: Tensor, grid: Grid) -> Tensor:
        """Return (B, N, 2C) from the normalised streams (B, N, C)."""
        # One projection of both streams is query and key at once: what belongs together is symmetric in a frame.
        query = self.linear_QK(torch.cat([visual, ids], dim=2))
        values = silu(self.linear_V1(visual)), silu(self.linear_V2(ids))
        gates = silu(self.linear_U1(visual)), silu(self.linear_U2(ids))
        return self.finish(attend_wide(query, query, values), gates, grid)


class DeaotLayer(nn.Module):
    """Long- and short-term gated propagation, then gated self-attention."""

    def __init__(self, config: NetworkConfig, *, is_first: bool) -> None:
        super().__init__()
        channels, dropout = config.embedding_dim, config.channel_dropout
        width = _EXPANSION * channels
        self.norm1 = nn.LayerNorm(channels)
        self.linear_QV = nn.Linear(channels, channels // 2 + width)
        self.linear_U = nn.Linear(channels, width)
        self.linear_ID_V = nn.Linear(channels if is_first else 2 * channels, width)
        # The first layer has no identity stream to read yet, and its identity half is not gated at all.
        if not is_first:
            self.id_norm1 = nn.LayerNorm(channels)
            self.linear_ID_U = nn.Linear(channels, width)
        self.long_term_attn = GatedLongTermAttention(channels, dropout)
        self.short_term_attn = GatedShortTermAttention(channels, dropout, config.local_radius)
        self.norm2 = nn.LayerNorm(channels)
        self.id_norm2 = nn.LayerNorm(channels)
        self.self_attn = GatedSelfAttention(channels, dropout)
        self.drop_path = DropPath(config.drop_path)
        self.widths = [channels // 2, width]

    def look(self, tokens: Tensor, ids: Tensor | None) -> DeaotLooked:
        """Return query, visual value and gates of the streams (B, N, C); no `ids` in the first layer."""
        normed = self.norm1(tokens)
        # (B, N, C) -> query (B, N, C/2), which is the key as well, and visual value (B, N, 2C)
        query, visual = self.linear_QV(normed).split(self.widths, dim=2)
        # Remembered values are stored behind their activation.
        looked = DeaotLooked(tokens, query.contiguous(), silu(visual), silu(self.linear_U(normed)))
        if ids is None:
            return looked
        normed_ids = self.id_norm1(ids)
        return looked._replace(ids=ids, normed_ids=normed_ids, id_gate=silu(self.linear_ID_U(normed_ids)))

    def entry(self, looked: DeaotLooked, identity: Tensor) -> LayerEntry:
        """Return the frame's memory entry once its id embedding (B, N, C) is known."""
        if looked.normed_ids is not None:
            # The stream as it was while the frame was propagated, not as it is now.
            identity = torch.cat([looked.normed_ids, identity], dim=2)
        return LayerEntry(looked.query, (looked.visual, silu(self.linear_ID_V(identity))))

    def forward(self, looked: DeaotLooked, memory: LayerMemory, grid: Grid) -> tuple[Tensor, Tensor]:
        """Return the visual and identity streams, each (B, N, C)."""
        gates = (looked.gate, looked.id_gate)
        # Propagation before self-attention, the other way round than in AOT.
        update = self.long_term_attn(looked.query, memory.long, gates, grid)
        update = update + self.short_term_attn(looked.query, memory.short, gates, grid)
        # (B, N, 2C) -> two streams (B, N, C); the identity stream begins with the first layer's update
        visual_update, ids = update.chunk(2, dim=2)
        tokens = looked.tokens + visual_update
        if looked.ids is not None:
            ids = looked.ids + ids
        update = self.drop_path(self.self_attn(self.norm2(tokens), self.id_norm2(ids), grid))
        visual_update, id_update = update.chunk(2, dim=2)
        return tokens + visual_update, ids + id_update


class GatedPropagationTransformer(nn.Module):
    """The stack of layers; the decoder reads the last layer's two streams."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList([DeaotLayer(config, is_first=index == 0) for index in range(config.layers)])
        # Group norm of the last layer's two streams, each as a whole.
        norm = TokenGroupNorm(_OUTPUT_GROUPS, 2 * config.embedding_dim)
        self.decoder_norms = nn.ModuleList([nn.Sequential(OrderedDict(gn=norm))])

    def look_first(self, tokens: Tensor, grid: Grid) -> DeaotLooked:
        """Return what the first layer makes of the projected image tokens (B, N, C) alone."""
        # No positions: the official code computes them and does not use them.
        return self._blocks()[0].look(tokens, None)

    def _blocks(self) -> list[DeaotLayer]:
        return [layer for layer in self.layers if isinstance(layer, DeaotLayer)]

    def forward(
        self,
        first: DeaotLooked,
        grid: Grid,
        *,
        memory: Sequence[LayerMemory] | None,
        identity: Tensor | None,
        finish: bool = True,
    ) -> tuple[Tensor | None, list[DeaotLooked]]:
        """Return the decoder's tokens (B, N, 2C) and what each layer saw.

        Args:
            memory: of each layer; None: a reference frame, which reads itself with `identity` (B, N, C).
            finish: false: the last layer only looks, as its output is read by the decoder alone; tokens are None.
        """
        seen = [first]
        tokens, ids = first.tokens, first.ids
        for index, layer in enumerate(self._blocks()):
            if index:
                seen.append(layer.look(tokens, ids))
            if not finish and index == len(self.layers) - 1:
                return None, seen
            tokens, ids = layer(seen[-1], read_memory(partial(layer.entry, seen[-1]), index, memory, identity), grid)
        streams = [stream for stream in (tokens, ids) if stream is not None]
        # Two streams (B, N, C) -> (B, N, 2C); outputs of the other layers are read by nobody
        output: Tensor = self.decoder_norms[0](torch.cat(streams, dim=2))
        return output, seen

    def remember(self, seen: Sequence[DeaotLooked], identity: Tensor) -> tuple[LayerEntry, ...]:
        """Return the frame's memory entry of each layer."""
        return tuple(layer.entry(looked, identity) for layer, looked in zip(self._blocks(), seen, strict=True))
