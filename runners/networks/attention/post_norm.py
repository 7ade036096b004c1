"""Attention and feed-forward blocks with residual and norm behind them, as MUTR and SOC use among queries."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """Post-norm self attention with an optional position on queries and keys."""

    def __init__(self, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.self_attn = nn.MultiheadAttention(channels, heads, dropout=dropout, batch_first=True)
        self.norm = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, position: Tensor | None = None, mask: Tensor | None = None) -> Tensor:
        """Return `(B, L, C)`; `mask` is additive, `(B, L, L)`."""
        query = x if position is None else x + position
        if mask is not None:
            # (B, L, L) -> (B * heads, L, L): the library counts heads inside of the batch, neighbours first
            mask = mask.repeat_interleave(self.self_attn.num_heads, 0)
        found = self.self_attn(query, query, x, attn_mask=mask, need_weights=False)[0]
        return self.norm(x + self.dropout(found))


class CrossAttention(nn.Module):
    """Post-norm cross attention."""

    def __init__(self, channels: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.multihead_attn = nn.MultiheadAttention(channels, heads, dropout=dropout, batch_first=True)
        self.norm = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, position: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Return `(B, L, C)`."""
        found = self.multihead_attn(x + position, key, value, need_weights=False)[0]
        return self.norm(x + self.dropout(found))


class PostNormFeedForward(nn.Module):
    """Feed-forward network, residual, norm."""

    def __init__(self, channels: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.linear1 = nn.Linear(channels, feedforward)
        self.linear2 = nn.Linear(feedforward, channels)
        self.norm = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(B, L, C)`."""
        hidden = self.linear2(self.dropout(F.relu(self.linear1(x))))
        return self.norm(x + self.dropout(hidden))


class ClipTransformer(nn.Module):
    """Layers over the queries of frames, and queries of the clip that read them; parameter names are official."""

    def __init__(
        self,
        channels: int,
        *,
        heads: int,
        feedforward: int,
        encoder_layers: int,
        decoder_layers: int,
        dropout: float,
    ) -> None:
        super().__init__()
        sizes = (channels, heads, dropout)
        self.enc_self_attn = nn.ModuleList(SelfAttention(*sizes) for _ in range(encoder_layers))
        self.enc_ffn = nn.ModuleList(PostNormFeedForward(channels, feedforward, dropout) for _ in range(encoder_layers))
        self.transformer_cross_attention_layers = nn.ModuleList(CrossAttention(*sizes) for _ in range(decoder_layers))
        self.transformer_self_attention_layers = nn.ModuleList(SelfAttention(*sizes) for _ in range(decoder_layers))
        self.transformer_ffn_layers = nn.ModuleList(
            PostNormFeedForward(channels, feedforward, dropout) for _ in range(decoder_layers)
        )
        self.decoder_norm = nn.LayerNorm(channels)

    def read(self, queries: Tensor, position: Tensor, keys: Tensor, values: Tensor) -> Tensor:
        """Return the queries of the clip `(B, Q, C)` after they have read those of the frames `(B, T * Q, C)`."""
        for cross, own, feed_forward in zip(
            self.transformer_cross_attention_layers,
            self.transformer_self_attention_layers,
            self.transformer_ffn_layers,
            strict=True,
        ):
            # Cross attention before self attention.
            queries = feed_forward(own(cross(queries, position, keys, values), position))
        return self.decoder_norm(queries)
