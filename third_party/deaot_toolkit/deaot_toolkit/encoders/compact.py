"""Our own small encoder, normalised by groups so that it can be trained from scratch with any batch size."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import relu

from deaot_toolkit.configs import EncoderConfig
from deaot_toolkit.encoders import EncoderMaps

_GROUPS = 8


def _convolution(channels_in: int, channels_out: int, stride: int = 1) -> nn.Sequential:
    convolution = nn.Conv2d(channels_in, channels_out, 3, stride, padding=1, bias=False)
    return nn.Sequential(convolution, nn.GroupNorm(_GROUPS, channels_out))


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions and a residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _convolution(channels, channels)
        self.second = _convolution(channels, channels)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return a map of the same shape."""
        return relu(inputs + self.second(relu(self.first(inputs))))


class CompactEncoder(nn.Module):
    """A strided stem, three strided stages of residual blocks, and a last convolution at stride 16."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        *widths, last = config.widths
        self.stem = _convolution(3, widths[0], 2)
        self.entries = nn.ModuleList(
            [_convolution(before, after, 2) for before, after in zip([widths[0], *widths], widths, strict=False)]
        )
        self.stages = nn.ModuleList(
            [
                nn.Sequential(*(ResidualBlock(width) for _ in range(depth)))
                for width, depth in zip(widths, config.depths, strict=True)
            ]
        )
        # No stride: transformer and decoder need maps of one grid.
        self.last = _convolution(widths[-1], last)

    def forward(self, images: Tensor) -> EncoderMaps:
        """Return maps at strides 4, 8, 16 and 16 of images (B, 3, H, W)."""
        hidden, maps = relu(self.stem(images)), []
        for entry, stage in zip(self.entries, self.stages, strict=True):
            hidden = stage(relu(entry(hidden)))
            maps.append(hidden)
        fourth, eighth, sixteenth = maps
        return fourth, eighth, sixteenth, relu(self.last(sixteenth))
