"""Sizes of a UNINEXT network: the three released ones by name, small ones by value."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from runners.networks.backbones.resnet import NormKind
from runners.networks.text.bert import TextSizes
from rvos.errors import ConfigError
from rvos.settings import Chance, Count, Range, Size

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)
N_LEVELS = 4
FEATURE_STRIDE = 8
_GROUPS = 32
_LONGEST_SIDE = 8192


@dataclass(frozen=True, slots=True)
class ResNetSizes:
    """Bottleneck network; frames run through unpadded. `norm`: "frozen" as released, "group" from scratch."""

    blocks: tuple[Count, ...] = (3, 4, 6, 3)
    width: Size = 64
    norm: NormKind = "frozen"
    # Officially the ResNet alone is not padded at test time: odd sizes run through it.
    multiple: ClassVar[int] = 1

    @property
    def channels(self) -> tuple[int, ...]:
        """Widths of res3, res4, res5."""
        return tuple(self.width * 4 * 2**stage for stage in (1, 2, 3))


@dataclass(frozen=True, slots=True)
class ConvNextSizes:
    """ConvNeXt with blocks and widths of its four stages."""

    depths: tuple[Count, ...] = (3, 3, 27, 3)
    widths: tuple[Size, ...] = (192, 384, 768, 1536)
    multiple: ClassVar[int] = 32

    @property
    def channels(self) -> tuple[int, ...]:
        """Widths of res3, res4, res5."""
        return self.widths[1:]


@dataclass(frozen=True, slots=True)
class VitSizes:
    """Plain vision transformer; blocks that `windowed` lists attend in windows, the others globally.

    Args:
        pretrain_grid: side of the stored position table, in tokens.
        relative_grid: side for which the global blocks' relative tables are stored, in tokens.
    """

    width: Size = 1280
    depth: Count = 32
    heads: Count = 16
    mlp_ratio: Count = 4
    patch: Size = 16
    window: Size = 14
    # As released: the list was made for 12 blocks and kept for 32, so that most of them are global.
    windowed: tuple[int, ...] = (0, 1, 3, 4, 6, 7, 9, 10)
    pretrain_grid: Size = 14
    relative_grid: Size = 64

    @property
    def channels(self) -> tuple[int, ...]:
        """Widths of res3, res4, res5."""
        return (self.width // 2, self.width, self.width)

    @property
    def multiple(self) -> int:
        """Frame sides are padded to a multiple of this."""
        return 2 * self.patch


BackboneSizes = ResNetSizes | ConvNextSizes | VitSizes


@dataclass(frozen=True, slots=True)
class UninextConfig:
    """A whole network; defaults are the released sizes.

    Args:
        width: of image tokens and queries.
        fusion_width: inner width of the early fusion, all heads together.
        fusion_scale: what the fusion's channel scales start from in training.
        mask_channels: of the mask features and of the dynamic layers.
        short_side, long_side: frames are resized to this short side unless the long one would pass its limit, pixels.
        association_layers: decoder layers of the same-object embedding head; 0: the network has none.
    """

    backbone: BackboneSizes = field(default_factory=ResNetSizes)
    text: TextSizes = field(default_factory=TextSizes)
    width: Size = 256
    heads: Count = 8
    encoder_layers: Count = 6
    decoder_layers: Count = 6
    feed_forward: Size = 2048
    points: Count = 4
    queries: Size = 900
    fusion_width: Size = 2048
    fusion_heads: Count = 8
    fusion_dropout: Chance = 0.1
    fusion_scale: float = 1 / 6
    mask_channels: Size = 8
    short_side: Size = 480
    long_side: Size = 1333
    association_layers: Annotated[int, Range(least=0, most=1000)] = 0

    def __post_init__(self) -> None:
        if self.width % (2 * self.heads) or self.width % _GROUPS or self.fusion_width % self.fusion_heads:
            raise ConfigError(
                f"uninext: width {self.width} with {self.heads} heads, fusion {self.fusion_width} with "
                f"{self.fusion_heads}; widths must be multiples of the heads and of {_GROUPS}"
            )
        if max(self.short_side, self.long_side) > _LONGEST_SIDE:
            raise ConfigError(
                f"uninext: sides {self.short_side} and {self.long_side}; give at most {_LONGEST_SIDE} pixels"
            )
        if self.decoder_layers < 1 or self.queries < 1 or len(self.backbone.channels) != N_LEVELS - 1:
            raise ConfigError("uninext: needs a decoder layer, a query and three backbone maps; check the sizes")


RELEASED: dict[str, BackboneSizes] = {
    "resnet50": ResNetSizes(),
    "convnext_tiny": ConvNextSizes(depths=(3, 3, 9, 3), widths=(96, 192, 384, 768)),
    "convnext_large": ConvNextSizes(),
    "vit_huge": VitSizes(),
}
"""Backbones of the released networks by name (ConvNeXt-T was never released, a reference case has it)."""
