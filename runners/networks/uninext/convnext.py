"""ConvNeXt as UNINEXT stores it: normalisation and layer-scale vectors are tables of shape (1, C)."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runners.networks.uninext.config import ConvNextSizes

# In the norms of the outputs too, where MUTR's ConvNeXt has 1e-5.
_EPS = 1e-6
_KERNEL = 7
_EXPANSION = 4


class Table(nn.Module):
    """One vector, stored as the only row of an embedding table."""

    def __init__(self, channels: int, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.full((1, channels), value))

    def forward(self) -> Tensor:
        """Return the vector, (C,)."""
        return self.weight[0]


class TableNorm(nn.Module):
    """Layer normalisation of the last axis with tabled weight and bias."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = Table(channels, 1.0)
        self.bias = Table(channels, 0.0)

    def forward(self, values: Tensor) -> Tensor:
        """Return `(..., C)` normalised."""
        weight: Tensor = self.weight()
        return F.layer_norm(values, weight.shape, weight, self.bias(), _EPS)


class ChannelNorm(TableNorm):
    """Layer normalisation over the channels of maps `(N, C, h, w)`."""

    def forward(self, values: Tensor) -> Tensor:
        """Return the maps normalised at every pixel."""
        return super().forward(values.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class Block(nn.Module):
    """Depthwise convolution, normalisation, two-layer perceptron, layer scale, residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.dwconv = nn.Conv2d(channels, channels, _KERNEL, padding=_KERNEL // 2, groups=channels)
        self.norm = TableNorm(channels)
        self.pwconv1 = nn.Linear(channels, _EXPANSION * channels)
        self.pwconv2 = nn.Linear(_EXPANSION * channels, channels)
        self.gamma = Table(channels, 1.0)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps of the same shape, (N, C, h, w)."""
        # (N, C, h, w) -> (N, h, w, C), and back at the end
        inner = self.norm(self.dwconv(maps).permute(0, 2, 3, 1))
        inner = self.gamma() * self.pwconv2(F.gelu(self.pwconv1(inner)))
        return maps + inner.permute(0, 3, 1, 2)


class ConvNext(nn.Module):
    """Four stages; the last three give normed maps at strides 8, 16, 32. Source: uninext_backbones.md, section 2."""

    def __init__(self, sizes: ConvNextSizes) -> None:
        super().__init__()
        widths = sizes.widths
        stem = nn.Sequential(nn.Conv2d(3, widths[0], 4, stride=4), ChannelNorm(widths[0]))
        steps = [
            nn.Sequential(ChannelNorm(narrow), nn.Conv2d(narrow, wide, 2, stride=2))
            for narrow, wide in pairwise(widths)
        ]
        self.downsample_layers = nn.ModuleList([stem, *steps])
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(width) for _ in range(depth)))
            for width, depth in zip(widths, sizes.depths, strict=True)
        )
        for stage, width in enumerate(widths[1:], start=1):
            self.add_module(f"norm{stage}", ChannelNorm(width))

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Return res3 to res5 of `(N, 3, H, W)`, sides multiples of 32; stages go on from maps before their norm."""
        maps = frames.contiguous(memory_format=torch.channels_last)
        outputs = []
        for index, (step, stage) in enumerate(zip(self.downsample_layers, self.stages, strict=True)):
            maps = stage(step(maps))
            # Stride 4 is read by nobody and has no norm.
            if index > 0:
                outputs.append(self.get_submodule(f"norm{index}")(maps))
        return outputs
