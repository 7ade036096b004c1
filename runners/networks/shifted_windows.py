"""Shifted-window attention over time, rows and columns: the block that Swin and Video-Swin share.

Source: backbones.md, sections 1.2, 1.3 and 2.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runners.networks.drop_path import DropPath

Sizes = tuple[int, int, int]
# Added to a score; the official mask is finite as well.
_FORBIDDEN = -100.0
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


def effective_window(sizes: Sizes, window: Sizes, shift: Sizes, *, shrinks: bool) -> tuple[Sizes, Sizes]:
    """Return window and shift for a map of `sizes`: with `shrinks`, an axis that fits in one window is not shifted."""
    if not shrinks:
        return window, shift
    # Equal counts as fitting: a map of exactly one window is not shifted either.
    fits = [size <= full for size, full in zip(sizes, window, strict=True)]
    smaller = tuple(size if fit else full for size, full, fit in zip(sizes, window, fits, strict=True))
    moved = tuple(0 if fit else step for step, fit in zip(shift, fits, strict=True))
    return (smaller[0], smaller[1], smaller[2]), (moved[0], moved[1], moved[2])


def to_windows(x: Tensor, window: Sizes) -> Tensor:
    """Return `(B, windows, N, C)` of a map `(B, T, H, W, C)` whose sizes are multiples of the window."""
    batch, frames, rows, columns, channels = x.shape
    t, h, w = window
    # (B, T, H, W, C) -> (B, T/t, t, H/h, h, W/w, w, C) -> (B, windows, t * h * w, C), both orders time, row, column
    cut = x.view(batch, frames // t, t, rows // h, h, columns // w, w, channels)
    return cut.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(batch, -1, t * h * w, channels)


def from_windows(x: Tensor, window: Sizes, sizes: Sizes) -> Tensor:
    """Return the map `(B, T, H, W, C)` of windows `(B, windows, N, C)`."""
    frames, rows, columns = sizes
    t, h, w = window
    # (B, windows, t * h * w, C) -> (B, T/t, H/h, W/w, t, h, w, C) -> (B, T, H, W, C)
    cut = x.view(len(x), frames // t, rows // h, columns // w, t, h, w, x.shape[-1])
    return cut.permute(0, 1, 4, 2, 5, 3, 6, 7).reshape(len(x), frames, rows, columns, x.shape[-1])


@lru_cache(maxsize=64)
def window_groups(sizes: Sizes, window: Sizes, shift: Sizes, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    """Return the windows of a rolled map, grouped by the pairs of tokens that may not attend to each other.

    All inner windows have the same (empty) mask and the windows on the wrapped border a handful of others, so that
    no mask per window is ever built.

    Args:
        sizes: (T, H, W) of the padded map, multiples of `window`.

    Returns:
        (indices of the windows `(n,)`, additive mask `(N, N)` of 0 and -100) a group.
    """
    # Kept between calls: tensors made under inference mode could not be used in training afterwards.
    with torch.inference_mode(False):
        return _window_groups(sizes, window, shift, device)


def _window_groups(sizes: Sizes, window: Sizes, shift: Sizes, device: torch.device) -> list[tuple[Tensor, Tensor]]:
    # After the roll the last window of an axis holds cells from both ends of the map. Three segments an axis, up to 27
    # labels: cells of one window with different labels were no neighbours before the roll.
    labels = torch.zeros(sizes, dtype=torch.int64)
    for axis, (size, width, step) in enumerate(zip(sizes, window, shift, strict=True)):
        place = torch.arange(size)
        segment = (place >= size - width).long() + (place >= size - step).long() if step else torch.zeros_like(place)
        shape = [1, 1, 1]
        shape[axis] = size
        labels = labels * 3 + segment.view(shape)
    # (1, T, H, W, 1) -> (windows, N)
    in_windows = to_windows(labels[None, ..., None], window)[0, :, :, 0]
    patterns, group = torch.unique(in_windows, dim=0, return_inverse=True)
    masks = (patterns[:, :, None] != patterns[:, None, :]).float() * _FORBIDDEN
    return [((group == index).nonzero()[:, 0].to(device), mask.to(device)) for index, mask in enumerate(masks)]


class WindowAttention(nn.Module):
    """Multi-head attention inside each window, with a learned bias for relative positions.

    Args:
        channels: of the tokens.
        heads: attention heads.
        window: nominal (T, H, W) of a window.
    """

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

    def forward(self, windows: Tensor, groups: list[tuple[Tensor, Tensor]]) -> Tensor:
        """Return windows `(B, n, N, C)` after attention; `groups` as `window_groups` gives them."""
        batch, count, tokens, channels = windows.shape
        # The released networks take the corner of the full index also where the window is smaller than nominal, which
        # gives wrong relative positions there; their weights were trained with it.
        index = self.relative_position_index[:tokens, :tokens]
        bias = self.relative_position_bias_table[index.reshape(-1)].view(tokens, tokens, -1).permute(2, 0, 1)
        # (B, n, N, 3C) -> (B, n, N, 3, heads, c): queries, keys, values, each head by head
        qkv = self.qkv(windows).view(batch, count, tokens, 3, self.heads, channels // self.heads)
        if len(groups) == 1:
            # A lone window of a shifted block has a mask too.
            whole: Tensor = self.proj(self._attend(qkv, bias + groups[0][1]))
            return whole
        out = torch.empty_like(windows)
        parts = [(members, self._attend(qkv[:, members], bias + mask)) for members, mask in groups]
        for members, part in parts:
            out[:, members] = part.to(out.dtype)
        joined: Tensor = self.proj(out)
        return joined

    def _attend(self, qkv: Tensor, bias: Tensor) -> Tensor:
        batch, count, tokens, _, heads, width = qkv.shape
        # (B, n, N, 3, heads, c) -> three times (B * n, heads, N, c)
        query, key, value = qkv.flatten(0, 1).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(query, key, value, attn_mask=bias[None].to(query.dtype).contiguous())
        return out.transpose(1, 2).reshape(batch, count, tokens, heads * width)


class Mlp(nn.Module):
    """Two linear layers with an exact GELU between."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, hidden)
        self.fc2 = nn.Linear(hidden, channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(..., C)`."""
        out: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return out


class WindowBlock(nn.Module):
    """Pre-norm residual block of window attention and MLP on a channels-last map.

    Args:
        window, shift: nominal (T, H, W); a shift of 0 everywhere for even blocks.
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
        out: Tensor = x + self.drop_path(self.mlp(self.norm2(x)))
        return out

    def _attend(self, x: Tensor) -> Tensor:
        sizes = (x.shape[1], x.shape[2], x.shape[3])
        window, shift = effective_window(sizes, self.window, self.shift, shrinks=self.shrinks)
        # Padding follows the norm and the choice of the window: zeros before the norm would not stay zeros.
        ends = [-size % width for size, width in zip(sizes, window, strict=True)]
        # Padded tokens are ordinary keys: only the wrapped border of a shifted map is masked.
        x = F.pad(x, (0, 0, 0, ends[2], 0, ends[1], 0, ends[0]))
        padded = (x.shape[1], x.shape[2], x.shape[3])
        if any(shift):
            x = x.roll([-step for step in shift], (1, 2, 3))
        # (B, T, H, W, C) -> (B, windows, N, C) -> back
        groups = window_groups(padded, window, shift, x.device)
        x = from_windows(self.attn(to_windows(x, window), groups), window, padded)
        if any(shift):
            x = x.roll(shift, (1, 2, 3))
        return x[:, : sizes[0], : sizes[1], : sizes[2]]


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
        out: Tensor = self.reduction(self.norm(torch.cat(parts, -1)))
        return out


def pad_to_patches(images: Tensor, patch: int) -> Tensor:
    """Return images `(..., H, W)` with zeros on the right and at the bottom up to a multiple of the patch."""
    return F.pad(images, (0, -images.shape[-1] % patch, 0, -images.shape[-2] % patch))


def start_linear(module: nn.Module) -> None:
    """Give linear layers a truncated normal start of deviation 0.02 and no bias."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
