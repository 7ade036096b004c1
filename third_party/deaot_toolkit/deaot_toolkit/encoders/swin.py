"""Swin-B and Swin-L for dense prediction: the first three stages."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import gelu, pad, scaled_dot_product_attention

from deaot_toolkit.configs import EncoderConfig
from deaot_toolkit.encoders import EncoderMaps

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


class WindowOrder(NamedTuple):
    """How the cells of a map stand when it is padded, rolled or not, and cut into windows.

    Args:
        cells: (windows * T,) int64, the cell at each place; 0 at places without one.
        padding: (P,) int64, the places without a cell.
        places: (h * w,) int64, the place of each cell.
        mask: (windows, T, T) additive, of a rolled map; None: not rolled.
    """

    cells: Tensor
    padding: Tensor
    places: Tensor
    mask: Tensor | None

    def to(self, device: torch.device) -> WindowOrder:
        """Return the order on a device."""
        mask = None if self.mask is None else self.mask.to(device)
        return WindowOrder(self.cells.to(device), self.padding.to(device), self.places.to(device), mask)


def window_order(size: tuple[int, int], window: int, *, shifted: bool) -> WindowOrder:
    """Return the order of a map of (h, w) cells in windows of `window` x `window`."""
    numbers = torch.arange(size[0] * size[1]).view(1, *size, 1)
    padded = pad(numbers, (0, 0, 0, -size[1] % window, 0, -size[0] % window), value=-1)
    full = (padded.shape[1], padded.shape[2])
    if shifted:
        padded = padded.roll((-(window // 2), -(window // 2)), dims=(1, 2))
    cells = to_windows(padded, window).flatten()
    # Sorting brings the padding, -1, to the front, and behind it the places in the order of their cells.
    by_cell = cells.argsort(stable=True)
    padding, places = by_cell.tensor_split([len(cells) - size[0] * size[1]])
    return WindowOrder(cells.clamp(min=0), padding, places, region_mask(full, window) if shifted else None)


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
        self.tokens = window**2

    def forward(self, cells: Tensor, order: WindowOrder) -> Tensor:
        """Return (B, h * w, C) of cells (B, h * w, C)."""
        batch = cells.shape[0]
        # Padded cells are zeros after the norm, so their projection is the bias alone: only real cells are multiplied,
        # and one gathering pads, rolls and cuts. (B, h * w, 3C) -> (B, windows * T, 3C)
        mapped = self.qkv(cells)
        placed = mapped.index_select(1, order.cells)
        placed[:, order.padding] = self.qkv.bias.to(placed.dtype)
        # -> three times (B * windows, heads, T, c): windows of one image next to each other
        width = cells.shape[2] // self.heads
        query, key, value = placed.view(-1, self.tokens, 3, self.heads, width).permute(2, 0, 3, 1, 4)
        bias = self.relative_position_bias_table[self.relative_position_index].permute(2, 0, 1)[None]
        if order.mask is not None:
            # (1, heads, T, T) + (windows, 1, T, T) -> (B * windows, heads, T, T)
            bias = (bias + order.mask[:, None].to(bias.dtype)).repeat(batch, 1, 1, 1)
        attended = scaled_dot_product_attention(query, key, value, attn_mask=bias)
        joined = attended.transpose(1, 2).reshape(batch, -1, cells.shape[2])
        return self.proj(joined.index_select(1, order.places))


class Mlp(nn.Module):
    """Two linear maps with GELU between them."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(channels, _MLP_RATIO * channels)
        self.fc2 = nn.Linear(_MLP_RATIO * channels, channels)

    def forward(self, cells: Tensor) -> Tensor:
        """Return cells of the same shape."""
        return self.fc2(gelu(self.fc1(cells)))


class SwinBlock(nn.Module):
    """Window attention, shifted in every other block, and an MLP."""

    def __init__(self, channels: int, heads: int, *, window: int, shifted: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(channels)
        self.attn = WindowAttention(channels, heads, window)
        self.norm2 = nn.LayerNorm(channels)
        self.mlp = Mlp(channels)
        self.shifted = shifted

    def forward(self, cells: Tensor, order: WindowOrder) -> Tensor:
        """Return cells (B, h, w, C); `order` is shifted as the block is."""
        attended = self.attn(self.norm1(cells).flatten(1, 2), order)
        cells = cells + attended.view_as(cells)
        return cells + self.mlp(self.norm2(cells))


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
        return self.reduction(self.norm(joined))


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
        size = (cells.shape[1], cells.shape[2])
        # Shifted also where the whole map is one window.
        orders = [window_order(size, self.window, shifted=shifted).to(cells.device) for shifted in (False, True)]
        for block in self.blocks:
            assert isinstance(block, SwinBlock)
            cells = block(cells, orders[block.shifted])
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
        return self.norm(self.proj(padded).permute(0, 2, 3, 1))


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
