"""SOC's pixel decoder: five small convolutions from stride 32 to stride 4."""

from __future__ import annotations

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

_GROUPS = 8


def convolution(into: int, out: int, kernel: int = 3) -> nn.Conv2d:
    """Return a convolution that keeps the size and starts Kaiming-uniform, without a bias."""
    layer = nn.Conv2d(into, out, kernel, padding=kernel // 2)
    nn.init.kaiming_uniform_(layer.weight, a=1)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


class LightPyramid(nn.Module):
    """Mask features of every frame from the memory and the finest backbone level. Source: soc.md, section 2.7.

    Args:
        channels: of the memory maps.
        finest: channels of the backbone level at stride 4.
        widths: channels after each of the five convolutions, divisible by 8.
        out: mask feature channels.
    """

    def __init__(self, channels: int, finest: int, widths: Sequence[int], out: int) -> None:
        super().__init__()
        one, two, three, four, five = widths
        self.lay1, self.gn1 = convolution(channels, one, 3), nn.GroupNorm(_GROUPS, one)
        self.lay2, self.gn2 = convolution(one, two, 3), nn.GroupNorm(_GROUPS, two)
        self.lay3, self.gn3 = convolution(two, three, 3), nn.GroupNorm(_GROUPS, three)
        self.lay4, self.gn4 = convolution(three, four, 3), nn.GroupNorm(_GROUPS, four)
        self.adapter1 = convolution(channels, two, 1)
        self.adapter2 = convolution(channels, three, 1)
        self.adapter3 = convolution(finest, four, 1)
        self.lay5, self.gn5 = convolution(four, five, 3), nn.GroupNorm(_GROUPS, five)
        self.out_lay = convolution(five, out, 3)

    def adapt_finest(self, level: Tensor) -> Tensor:
        """Return what stride 4 adds, (N, widths[3], h, w); it does not depend on the expression."""
        return self.adapter3(level)

    def forward(self, memory: Sequence[Tensor], finest: Tensor) -> Tensor:
        """Return features (N, out, h, w) at stride 4 of memory at strides 8, 16, 32 and of what `adapt_finest` gave."""
        fine, middle, coarse = memory[:3]
        # (N, C, H/32, W/32) -> two layers at stride 32 -> strides 16, 8, 4, the lateral added before each convolution
        x = self.gn1(self.lay1(coarse)).relu()
        x = self.gn2(self.lay2(x)).relu()
        x = self.gn3(self.lay3(add_upsampled(self.adapter1(middle), x))).relu()
        x = self.gn4(self.lay4(add_upsampled(self.adapter2(fine), x))).relu()
        x = self.gn5(self.lay5(add_upsampled(finest, x))).relu()
        return self.out_lay(x)


def add_upsampled(lateral: Tensor, x: Tensor) -> Tensor:
    """Return a map `(N, C, h, w)` with a smaller one added."""
    # Nearest to the lateral's own size: odd sizes make a plain doubling one pixel too large.
    return lateral + F.interpolate(x, size=lateral.shape[-2:], mode="nearest")
