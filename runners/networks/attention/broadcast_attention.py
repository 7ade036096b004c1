"""Attention between a video and several expressions, where either side may be shared by the batch."""

from __future__ import annotations

import torch
from deaot_toolkit.products import direct_linear
from torch import Tensor, nn
from torch.nn import functional as F

# Tokens of a slice: with a hidden width of 2048 a slice takes 16 MiB.
_SLICE = 2048


def attend(
    module: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor, padding_mask: Tensor | None = None
) -> Tensor:
    """Return what `module` gives for `query`, `(B, Lq, C)`, without forming the attention weights in memory.

    A side of batch size 1 is projected once and serves the whole batch of the other.

    Args:
        module: holds the weights; its own `forward` is not called.
        query, key, value: `(B or 1, L, C)`.
        padding_mask: `(B or 1, Lk)` bool, true = padding; None: nothing is padded.
    """
    # (3C, C) holds query, key and value, in this order.
    weights = module.in_proj_weight.chunk(3)
    biases = module.in_proj_bias.chunk(3)
    batch = max(len(query), len(key), len(padding_mask) if padding_mask is not None else 1)
    # (1 or B, L, C) -> (B, heads, L, c); expanding after the projection is what shares its cost
    queries, keys, values = (
        torch.unflatten(direct_linear(side, weight, bias), -1, (module.num_heads, -1))
        .transpose(1, 2)
        .expand(batch, -1, -1, -1)
        for side, weight, bias in zip((query, key, value), weights, biases, strict=True)
    )
    # (B, Lk) true = padding -> (B, 1, Lq, Lk) true = may be seen, the other way round
    mask = None if padding_mask is None else (~padding_mask)[:, None, None].expand(batch, 1, query.shape[1], -1)
    dropout = module.dropout if module.training else 0.0
    out = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask, dropout_p=dropout)
    # (B, heads, Lq, c) -> (B, Lq, C)
    return module.out_proj(out.transpose(1, 2).flatten(2))


class LanguageFusion(nn.Module):
    """Maps that attend to the words, times (ReferFormer) or plus (MUTR, `adds`) what they find."""

    def __init__(self, channels: int = 256, heads: int = 8, *, adds: bool = False) -> None:
        super().__init__()
        self.adds = adds
        self.multihead_attn = nn.MultiheadAttention(channels, heads, batch_first=True)

    def forward(self, tokens: Tensor, key: Tensor, value: Tensor, padding_mask: Tensor | None) -> Tensor:
        """Return the fused tokens `(B, L, C)`; no residual, no norm.

        Args:
            tokens: `(B or 1, L, C)` pixels of all frames of a clip, without position.
            key: `(B, words, C)` with position; `value` the same without.
        """
        # Frames are independent here although they stand side by side: a pixel sees words and no other pixel.
        found = attend(self.multihead_attn, tokens, key, value, padding_mask)
        return tokens + found if self.adds else tokens * found


def feed_forward(first: nn.Linear, second: nn.Linear, dropout: nn.Module, tokens: Tensor) -> Tensor:
    """Return `second(relu(first(tokens)))`, `(..., C)`.

    Without gradients the tokens pass in slices, so that the wide hidden layer never exists as a whole.
    """
    if torch.is_grad_enabled() or tokens.is_cuda:
        return second(dropout(F.relu(first(tokens))))
    flat = tokens.reshape(-1, tokens.shape[-1])
    out = torch.cat([second(dropout(F.relu_(first(part)))) for part in torch.split(flat, _SLICE)])
    return out.view(tokens.shape)
