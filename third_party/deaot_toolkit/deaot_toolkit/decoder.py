"""The decoder: a small feature pyramid from stride 16 to stride 4."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn.functional import interpolate, relu

from deaot_toolkit.configs import NetworkConfig
from deaot_toolkit.products import direct_convolution, direct_linear
from deaot_toolkit.transformer.tokens import Grid, to_map

_GROUPS = 8


class ConvolutionNorm(nn.Module):
    """Convolution with bias, then group norm."""

    def __init__(self, channels_in: int, channels_out: int, kernel: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, kernel, padding=kernel // 2)
        self.gn = nn.GroupNorm(_GROUPS, channels_out)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the normalised map, before any activation."""
        return self.gn(self.conv(inputs))


class EntryConvolution(ConvolutionNorm):
    """The 1x1 entry, whose image channels come first and can be computed once per frame."""

    def image_part(self, projected: Tensor) -> Tensor:
        """Return the share (B, C, h, w) of the projected image map, bias included."""
        channels = projected.shape[1]
        return direct_convolution(projected, self.conv.weight[:, :channels], self.conv.bias, self.conv)

    def forward(self, tokens: Tensor, grid: Grid, image_part: Tensor | None) -> Tensor:  # type: ignore[override]
        """Return the normalised map (B, C, h, w) of transformer tokens (B, N, channels) and the image's share."""
        # The convolution is linear: the image's share was computed once for the frame, and already has the bias.
        weight = self.conv.weight[:, self.conv.in_channels - tokens.shape[2] :].flatten(1)
        bias = self.conv.bias if image_part is None else None
        mixed = to_map(direct_linear(tokens, weight, bias), grid)
        return self.gn(mixed if image_part is None else mixed + image_part)


class Decoder(nn.Module):
    """Transformer tokens and encoder maps in, logits at stride 4 out."""

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        channels, half = config.embedding_dim, config.embedding_dim // 2
        fourth, eighth, sixteenth, _ = config.encoder.channels
        # AOT: the image and every layer; DeAOT: the two streams of the last layer.
        blocks = config.layers + 1 if config.family == "aot" else 2
        self.conv_in = EntryConvolution(blocks * channels, channels, 1)
        self.conv_16x = ConvolutionNorm(channels, channels, 3)
        self.conv_8x = ConvolutionNorm(channels, half, 3)
        self.conv_4x = ConvolutionNorm(half, half, 3)
        self.adapter_16x = nn.Conv2d(sixteenth, channels, 1)
        self.adapter_8x = nn.Conv2d(eighth, channels, 1)
        self.adapter_4x = nn.Conv2d(fourth, half, 1)
        self.conv_out = nn.Conv2d(half, config.max_objects + 1, 1)
        self.align_corners = config.align_corners
        self.reads_image = config.family == "aot"

    def adapt(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor, Tensor]:
        """Return the adapted encoder maps at strides 16, 8 and 4; they depend on the image only."""
        fourth, eighth, sixteenth = maps
        return self.adapter_16x(sixteenth), self.adapter_8x(eighth), self.adapter_4x(fourth)

    def image_part(self, projected: Tensor) -> Tensor | None:
        """Return what the entry makes of the projected image map; None where it does not read it."""
        return self.conv_in.image_part(projected) if self.reads_image else None

    def forward(
        self, tokens: Tensor, grid: Grid, adapted: tuple[Tensor, Tensor, Tensor], image_part: Tensor | None
    ) -> Tensor:
        """Return logits (B, 1 + identities, H/4, W/4) of tokens (B, N, channels)."""
        sixteenth, eighth, fourth = adapted
        # (B, N, channels) -> (B, C, H/16, W/16) -> (B, C/2, H/8, W/8) -> (B, C/2, H/4, W/4)
        mixed = relu(self.conv_in(tokens, grid, image_part))
        # Added before the convolution, at the size of the encoder's map.
        mixed = relu(self.conv_16x(mixed + sixteenth))
        mixed = relu(self.conv_8x(self._resize(mixed, eighth) + eighth))
        mixed = relu(self.conv_4x(self._resize(mixed, fourth) + fourth))
        return self.conv_out(mixed)

    def _resize(self, inputs: Tensor, target: Tensor) -> Tensor:
        # To the encoder's size, not doubled: grids of 16 n + 1 are no multiples of each other.
        return interpolate(inputs, target.shape[2:], mode="bilinear", align_corners=self.align_corners)
