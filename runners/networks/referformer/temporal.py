"""MUTR's words that collect visual evidence, queries that talk over time. Source: mutr.md, sections 2 and 3."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runners.networks.attention.broadcast_attention import attend
from runners.networks.attention.post_norm import ClipTransformer

# The additive mask of shifted windows; finite, so that padded queries keep a harmless row.
_FORBIDDEN = -1000.0


class WordAggregation(nn.Module):
    """One layer in which the words attend to all pixels of all frames of one level."""

    def __init__(self, channels: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.multihead_attn = nn.MultiheadAttention(channels, heads, batch_first=True)
        self.norm1 = nn.LayerNorm(channels)
        self.linear1 = nn.Linear(channels, feedforward)
        self.linear2 = nn.Linear(feedforward, channels)
        self.norm2 = nn.LayerNorm(channels)

    def forward(self, words: Tensor, position: Tensor, memory: Tensor, padding_mask: Tensor | None) -> Tensor:
        """Return the words `(B, L, C)`.

        Args:
            position: `(B, L, C)` of the words.
            memory: `(B or 1, T * h * w, C)` projected pixels, without position.
            padding_mask: `(B or 1, T * h * w)` bool, true = padding.
        """
        # Words have a position, pixels have none; padded words take part, each for itself.
        words = self.norm1(words + attend(self.multihead_attn, words + position, memory, memory, padding_mask))
        return self.norm2(words + self.linear2(F.relu(self.linear1(words))))


class MultiScaleAggregation(nn.Module):
    """The same layer over the levels, finest first."""

    def __init__(self, channels: int, heads: int, feedforward: int, layers: int = 1) -> None:
        super().__init__()
        self.layers = nn.ModuleList(WordAggregation(channels, heads, feedforward) for _ in range(layers))

    def forward(
        self, words: Tensor, position: Tensor, levels: Sequence[Tensor], padding_masks: Sequence[Tensor | None]
    ) -> Tensor:
        """Return the words `(B, L, C)` after all levels; arguments as for `WordAggregation`, one a level."""
        # One set of weights for all levels, and each level reads what the one before has left: the order counts.
        for memory, padding_mask in zip(levels, padding_masks, strict=True):
            for layer in self.layers:
                words = layer(words, position, memory, padding_mask)
        return words


class TemporalInteraction(ClipTransformer):
    """The queries of all frames, mixed in windows of time, then read by queries of the whole clip.

    At evaluation the windows, of `window` frames, of every second encoder layer are shifted by half.
    """

    def __init__(self, channels: int, *, frame_queries: int, queries: int, window: int, **layers: Any) -> None:
        super().__init__(channels, **layers)
        self.window = window
        self.query_embed = nn.Embedding(queries, channels)
        self.query_feat = nn.Embedding(queries, channels)
        self.fq_pos = nn.Embedding(frame_queries, channels)
        for name, parameter in self.named_parameters():
            # Learned queries and positions keep their normal start.
            if parameter.dim() > 1 and not name.startswith(("query_", "fq_pos")):
                nn.init.xavier_uniform_(parameter)

    def forward(self, states: Tensor, *, shifts: bool) -> Tensor:
        """Return one vector for each query of the clip, `(B, queries, C)`.

        Args:
            states: `(B, T, frame_queries, C)` decoder states; clips (and layers) in the batch.
            shifts: whether every second layer has shifted windows, as at evaluation; never in training.
        """
        # (B, T, Q, C) -> (B, T * Q, C), frame by frame
        memory = self._encode(states, shifts=shifts).flatten(1, 2)
        # The position tells the query, not the frame: time enters through the windows alone.
        key = memory + self.fq_pos.weight.repeat(states.shape[1], 1)
        x = self.query_feat.weight.expand(len(states), -1, -1)
        position = self.query_embed.weight.expand(len(states), -1, -1)
        return self.read(x, position, key, memory)

    def _encode(self, states: Tensor, *, shifts: bool) -> Tensor:
        """Return the states `(B, T, Q, C)` after the windowed layers."""
        clips, frames, queries, channels = states.shape
        ends = -frames % self.window
        # Zeros at the end, marked; they are no zeros after the first layer, so every layer masks them anew.
        x = F.pad(states, (0, 0, 0, 0, 0, ends))
        is_padding = torch.arange(frames + ends, device=states.device) >= frames
        for index, (attention, ffn) in enumerate(zip(self.enc_self_attn, self.enc_ffn, strict=True)):
            # Only the second of three layers is shifted, and towards later places: frame t moves to t + 2.
            step = self.window // 2 if shifts and index % 2 else 0
            # (B, T', Q, C) -> (B * windows, W * Q, C)
            rolled = x.roll(step, 1).reshape(-1, self.window * queries, channels)
            mask = self._mask(is_padding.roll(step), is_shifted=step > 0).to(x.dtype)
            # (windows, W, W) between frames -> (B * windows, W * Q, W * Q) between queries
            mask = mask.repeat_interleave(queries, 1).repeat_interleave(queries, 2).repeat(clips, 1, 1)
            # (B * windows, W * Q, C) -> (B, T', Q, C), and back to the order of time
            x = ffn(attention(rolled, mask=mask)).view(clips, -1, queries, channels).roll(-step, 1)
        return x[:, :frames]

    def _mask(self, is_padding: Tensor, *, is_shifted: bool) -> Tensor:
        """Return additive masks between frames, `(windows, W, W)`; `is_padding` `(T',)` is in the order of the cut."""
        padded = is_padding.view(-1, self.window)
        # Minus infinity on keys alone: a window with padding always has a frame that is none.
        if not is_shifted:
            return (
                torch.zeros_like(padded, dtype=torch.float32)
                .masked_fill(padded, -torch.inf)[:, None]
                .expand(-1, self.window, -1)
            )
        # Officially a padded frame is forbidden as a row everywhere, as a column in the first and the last window only:
        # where it is the whole row, all scores fall by 1000 and the softmax stays as it was.
        forbidden = padded[:, :, None].expand(-1, -1, self.window).clone()
        for border in {0, len(padded) - 1}:
            forbidden[border] |= padded[border][None, :]
        half = torch.arange(self.window, device=padded.device) < self.window // 2
        # The first window holds the tail of the clip beside its head.
        forbidden[0] |= half[:, None] != half[None, :]
        return forbidden.float() * _FORBIDDEN
