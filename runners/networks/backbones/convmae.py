"""ConvMAE: two convolutional stages, then a transformer with windows. Source: backbones.md, section 5."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runners.networks.attention.grid_attention import GridAttention, attend_in_windows
from runners.networks.backbones.convnext import ChannelNorm
from runners.networks.backbones.drop_path import DropPath, linear_rates
from runners.networks.backbones.shifted_windows import Mlp

WINDOW = 14
# 640 pixels, the largest side in training, at stride 16.
LARGEST_GRID = 40
_PRETRAINED_GRID = 14
_GLOBAL_EVERY = 3
_EPSILON = 1e-6


class PatchEmbedding(nn.Module):
    """Strided convolution, norm and GELU; a side that does not divide loses its remainder."""

    def __init__(self, inputs: int, channels: int, patch: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(inputs, channels, patch, patch)
        self.norm = nn.LayerNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(N, C, h // patch, w // patch)`."""
        tokens = self.norm(self.proj(x).permute(0, 2, 3, 1))
        # (N, h, w, C) -> (N, C, h, w)
        return F.gelu(tokens).permute(0, 3, 1, 2)


class ConvMlp(nn.Module):
    """Two 1x1 convolutions with an exact GELU between."""

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Conv2d(channels, hidden, 1)
        self.fc2 = nn.Conv2d(hidden, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map `(N, C, h, w)`."""
        return self.fc2(F.gelu(self.fc1(x)))


class ConvBlock(nn.Module):
    """A depthwise 5x5 convolution in the place of attention, then an MLP."""

    def __init__(self, channels: int, *, drop_path: float) -> None:
        super().__init__()
        self.norm1 = ChannelNorm(channels, eps=_EPSILON)
        self.conv1 = nn.Conv2d(channels, channels, 1)
        self.conv2 = nn.Conv2d(channels, channels, 1)
        self.attn = nn.Conv2d(channels, channels, 5, padding=2, groups=channels)
        self.norm2 = ChannelNorm(channels, eps=_EPSILON)
        self.mlp = ConvMlp(channels, 4 * channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map `(N, C, h, w)`."""
        x = x + self.drop_path(self.conv2(self.attn(self.conv1(self.norm1(x)))))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class GridBlock(nn.Module):
    """Pre-norm attention, in windows of a side in tokens or, with 0, over the whole grid, and an MLP."""

    def __init__(
        self, channels: int, heads: int, *, window: int, table_size: int, mlp_ratio: int = 4, drop_path: float = 0.0
    ) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(channels, eps=_EPSILON)
        self.attn = GridAttention(channels, heads, window or table_size)
        self.norm2 = nn.LayerNorm(channels, eps=_EPSILON)
        self.mlp = Mlp(channels, mlp_ratio * channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Return the grid `(N, h, w, C)`."""
        normed = self.norm1(x)
        x = x + self.drop_path(attend_in_windows(self.attn, normed, self.window) if self.window else self.attn(normed))
        return x + self.drop_path(self.mlp(self.norm2(x)))


def resize_positions(table: Tensor, height: int, width: int) -> Tensor:
    """Return the absolute encodings `(1, side * side, C)` of a square grid on another one, `(1, height, width, C)`."""
    side = math.isqrt(table.shape[1])
    grid = table.view(1, side, side, -1)
    if (height, width) == (side, side):
        return grid
    resized = F.interpolate(grid.permute(0, 3, 1, 2), size=(height, width), mode="bicubic", align_corners=False)
    return resized.permute(0, 2, 3, 1)


class ConvMae(nn.Module):
    """The four levels of images, at strides 4, 8, 16 and 32; widths and depths of three stages, heads of the third."""

    def __init__(
        self,
        widths: Sequence[int] = (256, 384, 768),
        depths: Sequence[int] = (2, 2, 11),
        *,
        heads: int = 12,
        drop_path: float = 0.2,
    ) -> None:
        super().__init__()
        first, second, third = widths
        rates = linear_rates(drop_path, tuple(depths))
        self.channels = (first, second, third, third)
        self.pos_embed = nn.Parameter(torch.zeros(1, _PRETRAINED_GRID**2, third))
        self.patch_embed1 = PatchEmbedding(3, first, 4)
        self.patch_embed2 = PatchEmbedding(first, second, 2)
        self.patch_embed3 = PatchEmbedding(second, third, 2)
        self.patch_embed4 = nn.Linear(third, third)
        self.blocks1 = nn.Sequential(*(ConvBlock(first, drop_path=rate) for rate in rates[0]))
        self.blocks2 = nn.Sequential(*(ConvBlock(second, drop_path=rate) for rate in rates[1]))
        # Blocks 1, 4, 7 and 10 see the whole map.
        windows = [0 if index % _GLOBAL_EVERY == 1 else WINDOW for index in range(len(rates[2]))]
        self.blocks3 = nn.Sequential(
            *(
                GridBlock(third, heads, window=window, table_size=LARGEST_GRID, drop_path=rate)
                for window, rate in zip(windows, rates[2], strict=True)
            )
        )
        self.norm3 = nn.LayerNorm(third, eps=_EPSILON)
        self.norm4 = nn.LayerNorm(third, eps=_EPSILON)
        nn.init.trunc_normal_(self.pos_embed, std=0.02)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the levels `(N, C_l, h_l, w_l)` of images `(N, 3, H, W)`; sizes are rounded down."""
        first = self.blocks1(self.patch_embed1(images))
        second = self.blocks2(self.patch_embed2(first))
        tokens = self.patch_embed4(self.patch_embed3(second).permute(0, 2, 3, 1))
        tokens = self.blocks3(tokens + resize_positions(self.pos_embed, *tokens.shape[1:3]))
        # Two norms of the same tokens: stride 32 is pooled from them, there is no fourth stage.
        third = self.norm3(tokens).permute(0, 3, 1, 2)
        fourth = F.max_pool2d(self.norm4(tokens).permute(0, 3, 1, 2), 2)
        return [first, second, third, fourth]
