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
        out: Tensor = self.norm(x + self.dropout(found))
        return out


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
        out: Tensor = self.norm(x + self.dropout(found))
        return out


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
        out: Tensor = self.norm(x + self.dropout(hidden))
        return out
