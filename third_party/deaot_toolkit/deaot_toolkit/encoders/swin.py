"""Swin-B and Swin-L for dense prediction: the first three stages."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad, scaled_dot_product_attention

from deaot_toolkit.configs import EncoderConfig
from deaot_toolkit.encoders import EncoderMaps
from deaot_toolkit.tokens import split_axis

_PATCH = 4
_MLP_RATIO = 4
# Finite, as in the official networks.
_OTHER_REGION = -100.0


def relative_index(window: int) -> Tensor:
    """Return the row (window^2, window^2) of the bias table for each query and key of a window."""
    axis = torch.arange(window)
    rows, columns = (grid.flatten() for grid in torch.meshgrid(axis, axis, indexing="ij"))
    # Query minus key, shifted to start at 0.
    down = rows[:, None] - rows + window - 1
    right = columns[:, None] - columns + window - 1
    return down * (2 * window - 1) + right


def region_mask(size: tuple[int, int], window: int) -> Tensor:
    """Return the additive mask (windows, window^2, window^2) of a padded map that was rolled by window // 2."""
    shift = window // 2
    # Nine regions of the rolled map; where the map is one window the first band is empty.
    bands = (slice(0, -window), slice(-window, -shift), slice(-shift, None))
    regions = torch.zeros(1, *size, 1)
    for number, (rows, columns) in enumerate((rows, columns) for rows in bands for columns in bands):
        regions[:, rows, columns] = number
    parts = to_windows(regions, window)[..., 0]
    return (parts[:, None] != parts[:, :, None]) * _OTHER_REGION


def to_windows(cells: Tensor, window: int) -> Tensor:
    """Return (B * windows, window^2, C) of cells (B, h, w, C); both sides are multiples of the window."""
    batch, height, width, channels = cells.shape
    # (B, h/w, w, W/w, w, C) -> (B * windows, w * w, C), row by row
    split = cells.view(batch, height // window, window, width // window, window, channels)
    return split.transpose(2, 3).reshape(-1, window * window, channels)


def from_windows(windows: Tensor, window: int, size: tuple[int, int]) -> Tensor:
    """Return cells (B, h, w, C): the inverse of `to_windows`."""
    height, width = size
    split = windows.view(-1, height // window, width // window, window, window, windows.shape[2])
    return split.transpose(2, 3).reshape(-1, height, width, windows.shape[2])


class WindowAttention(nn.Module):
    """Multi-head attention within windows, with a relative bias."""

    relative_position_index: Tensor

    def __init__(self, channels: int, heads: int, window: int) -> None:
        super().__init__()
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window - 1) ** 2, heads))
        self.register_buffer("relative_position_index", relative_index(window))
        self.qkv = nn.Linear(channels, 3 * channels)
        self.proj = nn.Linear(channels, channels)
        self.heads = heads

    def forward(self, windows: Tensor, mask: Tensor | None) -> Tensor:
        """Return (B * n, T, C) of windows (B * n, T, C); `mask` is (n, T, T) or None."""
        # (B * n, T, 3C) -> three times (B * n, heads, T, c)
        query, key, value = split_axis(self.qkv(windows), 2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[None]
        if mask is not None:
            repeats = windows.shape[0] // mask.shape[0]
            # (1, heads, T, T) + (n, 1, T, T) -> (B * n, heads, T, T): windows of one image next to each other
            bias = (bias + mask[:, None].to(bias.dtype)).repeat(repeats, 1, 1, 1)
        attended = scaled_dot_product_attention(query, key, value, attn_mask=bias)
        projected: Tensor = self.proj(attended.transpose(1, 2).flatten(2))
        return projected


class Mlp(nn.Module):
    """Two linear maps with GELU between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, _MLP_RATIO * channels)
        self.fc2 = nn.Linear(_MLP_RATIO * channels, channels)

    def forward(self, cells: Tensor) -> Tensor:
        """Return cells of the same shape."""
        mapped: Tensor = self.fc2(gelu(self.fc1(cells)))
        return mapped


class SwinBlock(nn.Module):
    """Window attention, shifted in every other block, and an MLP."""

    def __init__(self, channels: int, heads: int, *, window: int, shifted: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, window)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels)
        self.window = window
        self.shift = window // 2 if shifted else 0

    def forward(self, cells: Tensor, mask: Tensor | None) -> Tensor:
        """Return cells (B, h, w, C); `mask` is that of the rolled map, used by shifted blocks."""
        cells = cells + self._attend(self.norm1(cells), mask)
        updated: Tensor = cells + self.mlp(self.norm2(cells))
        return updated

    def _attend(self, cells: Tensor, mask: Tensor | None) -> Tensor:
        height, width = cells.shape[1:3]
        # After the norm: padded cells are zeros, and as keys they count like any other.
        padded = pad(cells, (0, 0, 0, -width % self.window, 0, -height % self.window))
        size = (padded.shape[1], padded.shape[2])
        if self.shift:
            padded = padded.roll((-self.shift, -self.shift), dims=(1, 2))
        attended = self.attn(to_windows(padded, self.window), mask if self.shift else None)
        result = from_windows(attended, self.window, size)
        if self.shift:
            result = result.roll((self.shift, self.shift), dims=(1, 2))
        return result[:, :height, :width]


class PatchMerging(nn.Module):
    """Four neighbouring cells become one with twice the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * channels, 2 * channels, bias=False)
        self.norm = nn.LayerNorm(4 * channels)

    def forward(self, cells: Tensor) -> Tensor:
        """Return cells (B, ceil(h/2), ceil(w/2), 2C) of cells (B, h, w, C)."""
        cells = pad(cells, (0, 0, 0, cells.shape[2] % 2, 0, cells.shape[1] % 2))
        even, odd = cells[:, 0::2], cells[:, 1::2]
        # Rows vary first: the weights of `reduction` stand in this order.
        joined = torch.cat([even[:, :, 0::2], odd[:, :, 0::2], even[:, :, 1::2], odd[:, :, 1::2]], dim=3)
        merged: Tensor = self.reduction(self.norm(joined))
        return merged


class SwinStage(nn.Module):
    """The blocks of one resolution, and the merging to the next."""

    def __init__(self, channels: int, depth: int, heads: int, *, window: int, merges: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            [SwinBlock(channels, heads, window=window, shifted=bool(index % 2)) for index in range(depth)]
        )
        self.downsample = PatchMerging(channels) if merges else None
        self.window = window

    def forward(self, cells: Tensor) -> Tensor:
        """Return cells (B, h, w, C) before merging."""
        height, width = cells.shape[1:3]
        size = (height + -height % self.window, width + -width % self.window)
        # Shifted also where the whole map is one window.
        mask = region_mask(size, self.window).to(cells.device)
        for block in self.blocks:
            cells = block(cells, mask)
        return cells


class PatchEmbedding(nn.Module):
    """4x4 patches to channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, _PATCH, _PATCH)
        self.norm = nn.LayerNorm(channels)

    def forward(self, images: Tensor) -> Tensor:
        """Return cells (B, h, w, C); the image is zero-padded right and bottom to whole patches."""
        padded = pad(images, (0, -images.shape[3] % _PATCH, 0, -images.shape[2] % _PATCH))
        cells: Tensor = self.norm(self.proj(padded).permute(0, 2, 3, 1))
        return cells


class Swin(nn.Module):
    """Patch embedding and three stages; each map is normalised, what goes on to the next stage is not."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.patch_embed = PatchEmbedding(config.width)
        widths = [config.width << index for index in range(len(config.depths))]
        self.layers = nn.ModuleList(
            [
                SwinStage(width, depth, heads, window=config.window, merges=width != widths[-1])
                for width, depth, heads in zip(widths, config.depths, config.heads, strict=True)
            ]
        )
        self.norm0, self.norm1, self.norm2 = (nn.LayerNorm(width) for width in widths)

    def forward(self, images: Tensor) -> EncoderMaps:
        """Return maps at strides 4, 8, 16 and 16 of images (B, 3, H, W)."""
        cells, maps = self.patch_embed(images), []
        for stage, norm in zip(self.layers, (self.norm0, self.norm1, self.norm2), strict=True):
            cells = stage(cells)
            maps.append(norm(cells).permute(0, 3, 1, 2))
            if isinstance(stage, SwinStage) and stage.downsample is not None:
                cells = stage.downsample(cells)
        fourth, eighth, sixteenth = maps
        return fourth, eighth, sixteenth, sixteenth
