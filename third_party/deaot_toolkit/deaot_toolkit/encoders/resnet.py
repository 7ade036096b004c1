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
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=1, bias=False)
        self.bn2 = FrozenBatchNorm(width)
        self.conv3 = nn.Conv2d(width, channels_out, 1, bias=False)
        self.bn3 = FrozenBatchNorm(channels_out)
        self.downsample: nn.ModuleList | None = None
        if stride != 1 or channels_in != channels_out:
            shortcut = nn.Conv2d(channels_in, channels_out, 1, stride, bias=False)
            self.downsample = nn.ModuleList([shortcut, FrozenBatchNorm(channels_out)])

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (B, 4 * width, h / stride, w / stride)."""
        hidden = relu(convolve_and_norm(self.conv1, self.bn1, inputs), inplace=True)
        hidden = relu(convolve_and_norm(self.conv2, self.bn2, hidden), inplace=True)
        hidden = convolve_and_norm(self.conv3, self.bn3, hidden)
        residual = inputs if self.downsample is None else convolve_and_norm(*self.downsample, inputs)
        return relu(hidden + residual, inplace=True)


class ResNet(nn.Module):
    """Stem and the first three stages; the last map is the stride-16 map itself."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, _STEM, 7, 2, padding=3, bias=False)
        self.bn1 = FrozenBatchNorm(_STEM)
        channels = _STEM
        for index, depth in enumerate(config.depths):
            width = config.width << index
            blocks = []
            for block in range(depth):
                blocks.append(Bottleneck(channels, width, 2 if index and not block else 1))
                channels = _EXPANSION * width
            setattr(self, f"layer{index + 1}", nn.Sequential(*blocks))

    def forward(self, images: Tensor) -> EncoderMaps:
        """Return maps at strides 4, 8, 16 and 16 of images (B, 3, H, W)."""
        stem = relu(convolve_and_norm(self.conv1, self.bn1, images), inplace=True)
        fourth = self.layer1(max_pool2d(stem, 3, 2, padding=1))
        eighth = self.layer2(fourth)
        sixteenth = self.layer3(eighth)
        return fourth, eighth, sixteenth, sixteenth
