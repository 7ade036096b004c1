"""SOC's fusion of vision and language, in both directions, by elementwise product."""

from __future__ import annotations

from torch import Tensor, nn


class MultiplicativeFusion(nn.Module):
    """The input times what it attends to: no residual, no norm, no dropout."""

    def __init__(self, channels: int = 256, heads: int = 8) -> None:
        super().__init__()
        self.multihead_attn = nn.MultiheadAttention(channels, heads, batch_first=True)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Return query * attention, (B, Lq, C).

        Args:
            query: (B, Lq, C) without position.
            key: (B, Lk, C), position included.
            value: (B, Lk, C).
            padding_mask: bool (B, Lk), true = padding.
        """
        attended: Tensor = self.multihead_attn(query, key, value, key_padding_mask=padding_mask, need_weights=False)[0]
        return query * attended
