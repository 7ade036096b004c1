"""ResNet-50 and -101 up to stride 16, with frozen batch norms."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import max_pool2d, relu

from deaot_toolkit.configs import EncoderConfig
from deaot_toolkit.encoders import EncoderMaps
from deaot_toolkit.encoders.frozen_norm import FrozenBatchNorm, convolve_and_norm

_EXPANSION = 4
_STEM = 64


class Bottleneck(nn.Module):
    """1x1, 3x3 (which carries the stride), 1x1, and a residual."""

    def __init__(self, channels_in: int, width: int, stride: int) -> None:
        super().__init__()
        channels_out = _EXPANSION * width
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = FrozenBatchNorm(width)
        # The stride sits on the 3x3 convolution, as in the released weights.
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = FrozenBatchNorm(width)
        self.conv3 = nn.Conv2d(width, channels_out, 1, bias=False)
        self.bn3 = FrozenBatchNorm(channels_out)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or channels_in != channels_out:
            shortcut = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.downsample = nn.Sequential(shortcut, FrozenBatchNorm(channels_out))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (B, 4 * width, h / stride, w / stride)."""
        hidden = relu(convolve_and_norm(self.conv1, self.bn1, inputs), inplace=True)
        hidden = relu(convolve_and_norm(self.conv2, self.bn2, hidden), inplace=True)
        hidden = convolve_and_norm(self.conv3, self.bn3, hidden)
        residual = (
            inputs if self.downsample is None else convolve_and_norm(self.downsample[0], self.downsample[1], inputs)
        )
        return relu(hidden + residual, inplace=True)


def _stage(channels_in: int, width: int, depth: int, *, stride: int) -> nn.Sequential:
    rest = (Bottleneck(_EXPANSION * width, width, 1) for _ in range(depth - 1))
    return nn.Sequential(Bottleneck(channels_in, width, stride), *rest)


class ResNet(nn.Module):
    """Stem and the first three stages; the last map is the stride-16 map itself."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, _STEM, 7, 2, padding=3, bias=False)
        self.bn1 = FrozenBatchNorm(_STEM)
        width = config.width
        first, second, third = config.depths
        self.layer1 = _stage(_STEM, width, first, stride=1)
        self.layer2 = _stage(_EXPANSION * width, 2 * width, second, stride=2)
        self.layer3 = _stage(2 * _EXPANSION * width, 4 * width, third, stride=2)

    def forward(self, images: Tensor) -> EncoderMaps:
        """Return maps at strides 4, 8, 16 and 16 of images (B, 3, H, W)."""
        stem = relu(convolve_and_norm(self.conv1, self.bn1, images), inplace=True)
        fourth = self.layer1(max_pool2d(stem, 3, 2, padding=1))
        eighth = self.layer2(fourth)
        sixteenth = self.layer3(eighth)
        # There is no fourth stage: transformer and decoder read one stride-16 map.
        return fourth, eighth, sixteenth, sixteenth
