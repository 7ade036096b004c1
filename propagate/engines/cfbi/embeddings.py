"""From an image to the embeddings that are matched: DeepLabV3+, then one map (CFBI) or a pyramid (CFBI+).

Source: cfbi.md, section 4.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from deaot_toolkit.encoders.frozen_norm import FrozenBatchNorm, convolve_and_norm
from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from propagate.engines.cfbi.backbones import BackboneMaps, build_backbone
from propagate.engines.cfbi.configs import CfbiConfig

_LOW = 48
_RATES = (1, 6, 12, 18)
_GROUPS_OF_EMBEDDING = 25


def resize(maps: Tensor, size: tuple[int, int] | torch.Size, mode: str = "bilinear") -> Tensor:
    """Return maps (B, C, h, w) at another size, corners aligned, as everywhere in this network."""
    return interpolate(maps, size, mode=mode, align_corners=True)


class AtrousBranch(nn.Module):
    """A convolution of one dilation, frozen norm, ReLU."""

    def __init__(self, channels_in: int, width: int, rate: int) -> None:
        super().__init__()
        kernel, padding = (1, 0) if rate == 1 else (3, rate)
        self.atrous_conv = nn.Conv2d(channels_in, width, kernel, padding=padding, dilation=rate, bias=False)
        self.bn = FrozenBatchNorm(width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (B, width, h, w)."""
        return relu(convolve_and_norm(self.atrous_conv, self.bn, inputs), inplace=True)


class AtrousPyramid(nn.Module):
    """Four dilations and the mean over the map, put together."""

    def __init__(self, channels_in: int, width: int) -> None:
        super().__init__()
        self.aspp1, self.aspp2, self.aspp3, self.aspp4 = (AtrousBranch(channels_in, width, rate) for rate in _RATES)
        # The pool and the ReLU have no weights, but places in the official file's numbering.
        convolution = nn.Conv2d(channels_in, width, 1, bias=False)
        self.global_avg_pool = nn.ModuleList([nn.Identity(), convolution, FrozenBatchNorm(width)])
        self.conv1 = nn.Conv2d((len(_RATES) + 1) * width, width, 1, bias=False)
        self.bn1 = FrozenBatchNorm(width)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (B, width, h, w)."""
        mean = inputs.mean(dim=(2, 3), keepdim=True)
        pooled = relu(convolve_and_norm(self.global_avg_pool[1], self.global_avg_pool[2], mean), inplace=True)
        branches = [branch(inputs) for branch in (self.aspp1, self.aspp2, self.aspp3, self.aspp4)]
        joined = torch.cat([*branches, pooled.expand_as(branches[0])], dim=1)
        return relu(convolve_and_norm(self.conv1, self.bn1, joined), inplace=True)


class Decoder(nn.Module):
    """The pyramid's map at stride 4, with fine detail from the first stage; no classifier."""

    def __init__(self, low_channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(low_channels, _LOW, 1, bias=False)
        self.bn1 = FrozenBatchNorm(_LOW)
        first = nn.Conv2d(width + _LOW, width, 3, padding=1, bias=False)
        second = nn.Conv2d(width, width, 3, padding=1, bias=False)
        # ReLU and dropout have places in the official file's numbering.
        skipped = (nn.Identity(), nn.Identity())
        self.last_conv = nn.ModuleList([first, FrozenBatchNorm(width), *skipped, second, FrozenBatchNorm(width)])

    def forward(self, pyramid: Tensor, low: Tensor) -> Tensor:
        """Return (B, width, h, w) at the size of `low`."""
        fine = relu(convolve_and_norm(self.conv1, self.bn1, low), inplace=True)
        hidden = torch.cat([resize(pyramid, fine.shape[2:]), fine], dim=1)
        for place in (0, 4):
            hidden = relu(convolve_and_norm(self.last_conv[place], self.last_conv[place + 1], hidden), inplace=True)
        return hidden


class DeepLabMaps(NamedTuple):
    """Maps of one image at stride 4 (`decoded`), 16 (`pyramid`), and those of the backbone."""

    decoded: Tensor
    pyramid: Tensor
    backbone: BackboneMaps


class DeepLab(nn.Module):
    """DeepLabV3+ without its classifier."""

    def __init__(self, config: CfbiConfig) -> None:
        super().__init__()
        self.backbone = build_backbone(config)
        self.aspp = AtrousPyramid(self.backbone.top_channels, config.deeplab)
        self.decoder = Decoder(self.backbone.low_channels, config.deeplab)

    def forward(self, images: Tensor) -> DeepLabMaps:
        """Return the maps of images (B, 3, H, W)."""
        maps: BackboneMaps = self.backbone(images)
        pyramid = self.aspp(maps.top)
        return DeepLabMaps(self.decoder(pyramid, maps.low), pyramid, maps)


class EmbeddingHead(nn.Module):
    """CFBI: one embedding at stride 4, not negative."""

    def __init__(self, config: CfbiConfig) -> None:
        super().__init__()
        width, channels = config.deeplab, config.embedding
        self.seperate_conv = nn.Conv2d(width, width, 3, padding=1, groups=width)
        self.bn1 = nn.GroupNorm(config.groups, width)
        self.embedding_conv = nn.Conv2d(width, channels, 1)
        self.bn2 = nn.GroupNorm(_GROUPS_OF_EMBEDDING, channels)

    def forward(self, maps: DeepLabMaps) -> tuple[Tensor, ...]:
        """Return one embedding (B, C, h, w)."""
        hidden = relu(self.bn1(self.seperate_conv(maps.decoded)), inplace=True)
        return (relu(self.bn2(self.embedding_conv(hidden))),)


class FeaturePyramid(nn.Module):
    """CFBI+: an embedding at strides 4, 8 and 16, not negative."""

    def __init__(self, config: CfbiConfig, middle_channels: int) -> None:
        super().__init__()
        width, channels = config.deeplab, config.embedding
        self.toplayer = _normed(width, channels, 1, config.groups)
        self.latlayer1 = _normed(middle_channels, channels, 1, config.groups)
        self.latlayer2 = _normed(width, channels, 1, config.groups)
        self.smooth1 = _normed(channels, channels, 3, config.groups)
        self.smooth2 = _normed(channels, channels, 3, config.groups)

    def forward(self, maps: DeepLabMaps) -> tuple[Tensor, ...]:
        """Return the embeddings (B, C, h, w), finest first."""
        assert maps.backbone.middle is not None
        top = self.toplayer(maps.pyramid)
        middle = self.latlayer1(maps.backbone.middle)
        middle = middle + resize(top, middle.shape[2:])
        fine = self.latlayer2(maps.decoded)
        # The middle map enters the fine one before it is smoothed itself.
        fine = fine + resize(middle, fine.shape[2:])
        # Kept for many frames, so not in place: among the maps of this one they would split the memory that it frees.
        return relu(self.smooth2(fine)), relu(self.smooth1(middle)), relu(top)


def _normed(channels_in: int, channels_out: int, kernel: int, groups: int) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.GroupNorm(groups, channels_out))
