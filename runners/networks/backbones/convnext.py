"""ConvNeXt as MUTR uses it: sizes are rounded down, norms lie outside the body. Source: backbones.md, section 4."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from runners.networks.backbones.drop_path import DropPath, linear_rates
from runners.networks.backbones.shifted_windows import Mlp

_EPSILON = 1e-6
# Branches start almost silent, so that deep stages train from the first step.
_FIRST_SCALE = 1e-6


class ChannelNorm(nn.LayerNorm):
    """Layer norm over the channels of a map `(N, C, h, w)`."""

    def forward(self, x: Tensor) -> Tensor:
        """Return `(N, C, h, w)`."""
        return super().forward(x.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)


class ConvNextBlock(nn.Module):
    """Depthwise 7x7 convolution and MLP, scaled a channel and added to the input."""

    def __init__(self, channels: int, *, drop_path: float) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.full((channels,), _FIRST_SCALE))
        self.conv_dw = nn.Conv2d(channels, channels, 7, padding=3, groups=channels)
        self.norm = nn.LayerNorm(channels, eps=_EPSILON)
        self.mlp = Mlp(channels, 4 * channels)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: Tensor) -> Tensor:
        """Return the map `(N, C, h, w)`."""
        # (N, C, h, w) -> (N, h, w, C) for norm and MLP, and back
        branch = self.mlp(self.norm(self.conv_dw(x).permute(0, 2, 3, 1))) * self.gamma
        return x + self.drop_path(branch.permute(0, 3, 1, 2))


def _build_stage(inputs: int, channels: int, rates: Sequence[float], *, halves: bool) -> nn.Sequential:
    """Return the blocks of one resolution, after the step that halves it (none in the first stage)."""
    step: nn.Module = nn.Identity()
    if halves:
        step = nn.Sequential(ChannelNorm(inputs, eps=_EPSILON), nn.Conv2d(inputs, channels, 2, 2))
    blocks = nn.Sequential(*(ConvNextBlock(channels, drop_path=rate) for rate in rates))
    return nn.Sequential(OrderedDict(downsample=step, blocks=blocks))


class ConvNext(nn.Module):
    """The four levels of images, at strides 4 to 32, without norms; each has twice the channels of the one before."""

    def __init__(self, width: int, depths: Sequence[int], *, drop_path: float = 0.5) -> None:
        super().__init__()
        self.channels = tuple(width * 2**stage for stage in range(len(depths)))
        rates = linear_rates(drop_path, tuple(depths))
        # No padding here: a side that is no multiple of 4 loses its remainder.
        self.stem = nn.Sequential(nn.Conv2d(3, width, 4, 4), ChannelNorm(width, eps=_EPSILON))
        self.stages = nn.Sequential(
            *(
                _build_stage(self.channels[max(index - 1, 0)], channels, rates[index], halves=index > 0)
                for index, channels in enumerate(self.channels)
            )
        )

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the levels `(N, C_l, h_l, w_l)` of images `(N, 3, H, W)`."""
        x = self.stem(images)
        levels = []
        for stage in self.stages:
            x = stage(x)
            levels.append(x)
        return levels
