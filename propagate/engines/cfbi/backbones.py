"""The visual backbones: a ResNet whose last stage is dilated, MobileNetV2 that pads before it expands, a small one.

Source: cfbi.md, section 4.
"""

from __future__ import annotations

from typing import NamedTuple

from deaot_toolkit.configs import EncoderConfig
from deaot_toolkit.encoders.compact import CompactEncoder
from deaot_toolkit.encoders.frozen_norm import FrozenBatchNorm, convolve_and_norm
from deaot_toolkit.encoders.mobilenet_v2 import BLOCKS
from torch import Tensor, nn
from torch.nn.functional import max_pool2d, pad, relu, relu6

from propagate.engines.cfbi.configs import CfbiConfig

_EXPANSION = 4
# Multi-grid: the three blocks of the last stage see ever further.
_MULTI_GRID = (2, 4, 8)
_MOBILE_STEM = 32
_MOBILE_LOW = 3
# The demo's AOT has the same, so that one can start from the other.
_COMPACT = EncoderConfig("compact", depths=(1, 1, 1), widths=(16, 32, 64, 96))


class BackboneMaps(NamedTuple):
    """Maps of one image: `low` at stride 4, `middle` at stride 8 (None: mobile), `top` at stride 16."""

    low: Tensor
    middle: Tensor | None
    top: Tensor


class Bottleneck(nn.Module):
    """1x1, 3x3 (which carries stride and dilation), 1x1, and a residual."""

    def __init__(self, channels_in: int, width: int, *, stride: int, dilation: int) -> None:
        super().__init__()
        channels_out = _EXPANSION * width
        self.conv1 = nn.Conv2d(channels_in, width, 1, bias=False)
        self.bn1 = FrozenBatchNorm(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, padding=dilation, dilation=dilation, bias=False)
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
        if self.downsample is not None:
            inputs = convolve_and_norm(self.downsample[0], self.downsample[1], inputs)
        return relu(hidden.add_(inputs), inplace=True)


class ResNet(nn.Module):
    """Strides 2 (stem), 4, 8, 16, 16."""

    def __init__(self, config: CfbiConfig) -> None:
        super().__init__()
        width, depths = config.stem, config.depths
        self.conv1 = nn.Conv2d(3, width, 7, 2, padding=3, bias=False)
        self.bn1 = FrozenBatchNorm(width)
        self.layer1 = _stage(width, width, (1,) * depths[0], stride=1)
        self.layer2 = _stage(_EXPANSION * width, 2 * width, (1,) * depths[1], stride=2)
        self.layer3 = _stage(_EXPANSION * 2 * width, 4 * width, (1,) * depths[2], stride=2)
        self.layer4 = _stage(_EXPANSION * 4 * width, 8 * width, _MULTI_GRID[: depths[3]], stride=1)
        self.low_channels, self.middle_channels = _EXPANSION * width, _EXPANSION * 2 * width
        self.top_channels = _EXPANSION * 8 * width

    def forward(self, images: Tensor) -> BackboneMaps:
        """Return the maps of images (B, 3, H, W)."""
        stem = relu(convolve_and_norm(self.conv1, self.bn1, images), inplace=True)
        low = self.layer1(max_pool2d(stem, 3, 2, padding=1))
        middle = self.layer2(low)
        return BackboneMaps(low, middle, self.layer4(self.layer3(middle)))


def _stage(channels_in: int, width: int, dilations: tuple[int, ...], *, stride: int) -> nn.Sequential:
    first = Bottleneck(channels_in, width, stride=stride, dilation=dilations[0])
    rest = (Bottleneck(_EXPANSION * width, width, stride=1, dilation=dilation) for dilation in dilations[1:])
    return nn.Sequential(first, *rest)


class InvertedResidual(nn.Module):
    """Pad, expand, depthwise, project; residual where the shapes agree.

    The padded zeros are expanded too, so cells beyond the border hold the norm's shift where other networks have 0.
    """

    def __init__(self, channels_in: int, expansion: int, channels_out: int, stride: int, dilation: int) -> None:
        super().__init__()
        hidden = channels_in * expansion
        pairs: list[nn.Module] = []
        if expansion != 1:
            pairs += [nn.Conv2d(channels_in, hidden, 1, bias=False), FrozenBatchNorm(hidden), nn.ReLU6()]
        pairs += [
            nn.Conv2d(hidden, hidden, 3, stride, dilation=dilation, groups=hidden, bias=False),
            FrozenBatchNorm(hidden),
            nn.ReLU6(),
            nn.Conv2d(hidden, channels_out, 1, bias=False),
            FrozenBatchNorm(channels_out),
        ]
        self.conv = nn.ModuleList(pairs)
        self.dilation = dilation
        self.is_residual = stride == 1 and channels_in == channels_out

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the projected map."""
        hidden = pad(inputs, (self.dilation,) * 4)
        last = len(self.conv) - 2
        for place in range(0, last, 3):
            hidden = relu6(convolve_and_norm(self.conv[place], self.conv[place + 1], hidden), inplace=True)
        hidden = convolve_and_norm(self.conv[last], self.conv[last + 1], hidden)
        return inputs + hidden if self.is_residual else hidden


class MobileNet(nn.Module):
    """MobileNetV2 up to its last residual, stride 16."""

    def __init__(self) -> None:
        super().__init__()
        stem = nn.Conv2d(3, _MOBILE_STEM, 3, 2, padding=1, bias=False)
        blocks: list[nn.Module] = [nn.Sequential(stem, FrozenBatchNorm(_MOBILE_STEM))]
        channels = _MOBILE_STEM
        for expansion, width, stride, dilation in BLOCKS:
            blocks.append(InvertedResidual(channels, expansion, width, stride, dilation))
            channels = width
        self.features = nn.ModuleList(blocks)
        self.low_channels, self.top_channels = BLOCKS[_MOBILE_LOW - 1][1], channels

    def forward(self, images: Tensor) -> BackboneMaps:
        """Return the maps of images (B, 3, H, W)."""
        stem = self.features[0]
        assert isinstance(stem, nn.Sequential)
        hidden = low = relu6(convolve_and_norm(stem[0], stem[1], images), inplace=True)
        for index, block in enumerate(self.features[1:], start=1):
            hidden = block(hidden)
            low = hidden if index == _MOBILE_LOW else low
        return BackboneMaps(low, None, hidden)


class Compact(nn.Module):
    """The toolkit's small encoder, whose norms of groups let it train from nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = CompactEncoder(_COMPACT)
        self.low_channels, self.middle_channels, self.top_channels, _ = _COMPACT.widths

    def forward(self, images: Tensor) -> BackboneMaps:
        """Return the maps of images (B, 3, H, W)."""
        low, middle, top, _ = self.encoder(images)
        return BackboneMaps(low, middle, top)


def build_backbone(config: CfbiConfig) -> ResNet | MobileNet | Compact:
    """Return the backbone of a network with initial weights."""
    if config.backbone == "resnet":
        return ResNet(config)
    return MobileNet() if config.backbone == "mobilenet" else Compact()
