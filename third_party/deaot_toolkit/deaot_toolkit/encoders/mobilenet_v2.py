"""MobileNetV2 with output stride 16: the later stages are dilated instead of strided."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import relu6

from deaot_toolkit.encoders import EncoderMaps
from deaot_toolkit.encoders.frozen_norm import FrozenBatchNorm, convolve_and_norm

# (expansion, channels, stride, dilation) of the 17 inverted residuals; CFBI builds its own from them.
BLOCKS = (
    (1, 16, 1, 1),
    (6, 24, 2, 1),
    (6, 24, 1, 1),
    (6, 32, 2, 1),
    *((6, 32, 1, 1),) * 2,
    (6, 64, 2, 1),
    *((6, 64, 1, 1),) * 3,
    *((6, 96, 1, 1),) * 3,
    # Strided in the usual network; here stride 16 stays and the next blocks are dilated.
    (6, 160, 1, 1),
    *((6, 160, 1, 2),) * 2,
    (6, 320, 1, 2),
)
_STEM, _LAST = 32, 1280
# 24, 32, 96 and 1280 channels.
_TAPS = (3, 6, 13, 18)


class ConvolutionNormActivation(nn.ModuleList):
    """Convolution, frozen norm, ReLU6."""

    def __init__(
        self, channels_in: int, channels_out: int, kernel: int, *, stride: int = 1, dilation: int = 1, groups: int = 1
    ) -> None:
        # A dilated kernel reaches further, and the size must not shrink.
        padding = kernel // 2 * dilation
        convolution = nn.Conv2d(
            channels_in, channels_out, kernel, stride, padding, dilation=dilation, groups=groups, bias=False
        )
        super().__init__([convolution, FrozenBatchNorm(channels_out)])

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the activated map."""
        return relu6(convolve_and_norm(self[0], self[1], inputs), inplace=True)


class InvertedResidual(nn.Module):
    """Expand, depthwise, project; residual where the shapes agree."""

    def __init__(self, channels_in: int, expansion: int, channels_out: int, stride: int, dilation: int) -> None:
        super().__init__()
        hidden = channels_in * expansion
        parts: list[nn.Module] = []
        if expansion != 1:
            parts.append(ConvolutionNormActivation(channels_in, hidden, 1))
        parts.append(ConvolutionNormActivation(hidden, hidden, 3, stride=stride, dilation=dilation, groups=hidden))
        parts += [nn.Conv2d(hidden, channels_out, 1, bias=False), FrozenBatchNorm(channels_out)]
        self.conv = nn.ModuleList(parts)
        self.is_residual = stride == 1 and channels_in == channels_out

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the projected map."""
        hidden = inputs
        for part in self.conv[:-2]:
            hidden = part(hidden)
        hidden = convolve_and_norm(self.conv[-2], self.conv[-1], hidden)
        return inputs + hidden if self.is_residual else hidden


class MobileNetV2(nn.Module):
    """Two different stride-16 maps: 96 channels for the decoder, 1280 for the transformer."""

    def __init__(self) -> None:
        super().__init__()
        blocks: list[nn.Module] = [ConvolutionNormActivation(3, _STEM, 3, stride=2)]
        channels = _STEM
        for expansion, width, stride, dilation in BLOCKS:
            blocks.append(InvertedResidual(channels, expansion, width, stride, dilation))
            channels = width
        blocks.append(ConvolutionNormActivation(channels, _LAST, 1))
        self.features = nn.ModuleList(blocks)

    def forward(self, images: Tensor) -> EncoderMaps:
        """Return maps at strides 4, 8, 16 and 16 of images (B, 3, H, W)."""
        taps, hidden = [], images
        for index, block in enumerate(self.features):
            hidden = block(hidden)
            if index in _TAPS:
                taps.append(hidden)
        fourth, eighth, sixteenth, last = taps
        return fourth, eighth, sixteenth, last
