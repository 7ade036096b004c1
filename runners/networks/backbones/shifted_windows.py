"""Shifted-window attention, as Swin and Video-Swin share it. Source: backbones.md, sections 1.2, 1.3 and 2."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runners.networks.backbones.drop_path import DropPath
from runners.networks.backbones.window_order import Sizes, WindowGroup, WindowOrder, effective_window, window_order

_EPSILON = 1e-5


def relative_index(window: Sizes) -> Tensor:
    """Return the row of the bias table for every pair of tokens of a full window, `(N, N)` int64."""
    axes = torch.meshgrid(*(torch.arange(size) for size in window), indexing="ij")
    # Mixed radix, time first: stored tables of official files are read by this very order.
    index = torch.zeros(1, dtype=torch.int64)
    for axis, size in zip(axes, window, strict=True):
        flat = axis.reshape(-1)
        index = index * (2 * size - 1) + (flat[:, None] - flat[None, :] + size - 1)
    return index


class WindowAttention(nn.Module):
    """Attention in windows of nominally (T, H, W) tokens, with a learned bias for relative positions."""

    relative_position_index: Tensor

    def __init__(self, channels: int, heads: int, window: Sizes) -> None:
        super().__init__()
        self.heads = heads
        rows = (2 * window[0] - 1) * (2 * window[1] - 1) * (2 * window[2] - 1)
        self.relative_position_bias_table = nn.Parameter(torch.zeros(rows, heads))
        # Official files store this constant; it is computed here, so ours do not.
        self.register_buffer("relative_position_index", relative_index(window), persistent=False)
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        nn.init.trunc_normal_(self.relative_position_bias_table, std=0.02)

    def forward(self, cells: Tensor, order: WindowOrder) -> Tensor:
        """Return the cells `(B, L, C)` of a map after attention in their windows."""
        tokens = order.groups[0].mask.shape[0]
        # The released networks take the corner of the full index also where the window is smaller than nominal, which
        # gives wrong relative positions there; their weights were trained with it.
        index = self.relative_position_index[:tokens, :tokens]
        bias = self.relative_position_bias_table[index.reshape(-1)].view(tokens, tokens, -1).permute(2, 0, 1)
        # Padding is zeros, so its projection is the bias alone: only real cells are multiplied.
        mapped = self.qkv(cells)
        parts = [self._attend(self._place(mapped, group), bias + group.mask) for group in order.groups]
        joined = torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]
        return self.proj(joined.index_select(1, order.places))

    def _place(self, mapped: Tensor, group: WindowGroup) -> Tensor:
        """Return `(B, n * N, 3C)`, the projected cells `(B, L, 3C)` where they stand in the windows of a group."""
        placed = mapped.index_select(1, group.cells)
        placed[:, group.padding] = self.qkv.bias.to(placed.dtype)
        return placed

    def _attend(self, placed: Tensor, bias: Tensor) -> Tensor:
        """Return `(B, n * N, C)`; `bias` `(heads, N, N)` serves all windows."""
        batch, tokens = len(placed), bias.shape[-1]
        width = placed.shape[2] // (3 * self.heads)
        # (B, n * N, 3C) -> three times (B * n, heads, N, c)
        query, key, value = placed.view(-1, tokens, 3, self.heads, width).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias[None].to(query.dtype).contiguous())
        return out.transpose(1, 2).reshape(batch, -1, self.heads * width)


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(..., C)`."""
        return self.fc2(F.gelu(self.fc1(x)))


class WindowBlock(nn.Module):
    """Pre-norm block of window attention and MLP on a channels-last map; `window`, `shift`: nominal (T, H, W).

    Args:
        shrinks: whether windows shrink to maps that are not larger than one window (Video-Swin) or never (Swin).
        drop_path: rate of stochastic depth.
    """

    def __init__(
        self, channels: int, heads: int, *, window: Sizes, shift: Sizes, shrinks: bool, drop_path: float
    ) -> None:
        super().__init__()
        self.window, self.shift, self.shrinks = window, shift, shrinks
        self.norm1 = nn.LayerNorm(channels, eps=_EPSILON)
        self.attn = WindowAttention(channels, heads, window)
        self.norm2 = nn.LayerNorm(channels, eps=_EPSILON)
        self.mlp = Mlp(channels, 4 * channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map `(B, T, H, W, C)` after the block."""
        x = x + self.drop_path(self._attend(self.norm1(x)))
        return x + self.drop_path(self.mlp(self.norm2(x)))

    def _attend(self, x: Tensor) -> Tensor:
        sizes = (x.shape[1], x.shape[2], x.shape[3])
        window, shift = effective_window(sizes, self.window, self.shift, shrinks=self.shrinks)
        # Padding follows the norm and the choice of the window: zeros before the norm would not stay zeros.
        order = window_order(sizes, window, shift, x.device)
        # (B, T, H, W, C) -> (B, L, C) -> back
        attended: Tensor = self.attn(x.flatten(1, 3), order)
        return attended.view_as(x)


def build_blocks(
    channels: int, heads: int, rates: Sequence[float], *, window: Sizes, shift: Sizes, shrinks: bool
) -> nn.Sequential:
    """Return the blocks of one resolution, one a rate of stochastic depth; every second one is shifted."""
    shifts = [shift if index % 2 else (0, 0, 0) for index in range(len(rates))]
    return nn.Sequential(
        *(
            WindowBlock(channels, heads, window=window, shift=step, shrinks=shrinks, drop_path=rate)
            for rate, step in zip(rates, shifts, strict=True)
        )
    )


class PatchMerging(nn.Module):
    """Halve rows and columns of a channels-last map, doubling its channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * channels, eps=_EPSILON)
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(..., ceil(H / 2), ceil(W / 2), 2C)` of a map `(..., H, W, C)`, odd sizes padded with zeros."""
        x = F.pad(x, (0, 0, 0, x.shape[-2] % 2, 0, x.shape[-3] % 2))
        # Rows vary first: the weights of `reduction` stand in this order.
        parts = [x[..., row::2, column::2, :] for row, column in ((0, 0), (1, 0), (0, 1), (1, 1))]
        return self.reduction(self.norm(torch.cat(parts, -1)))


def pad_to_patches(images: Tensor, patch: int) -> Tensor:
    """Return images `(..., H, W)` with zeros on the right and at the bottom up to a multiple of the patch."""
    return F.pad(images, (0, -images.shape[-1] % patch, 0, -images.shape[-2] % patch))


def start_linear(module: nn.Module) -> None:
    """Give linear layers a truncated normal start of deviation 0.02 and no bias."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
