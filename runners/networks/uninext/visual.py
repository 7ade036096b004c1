"""From frames to projected maps: everything that does not depend on the expression."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from runners.networks.attention.positions import sine_encoding_2d
from runners.networks.backbones.resnet import ResNet
from runners.networks.backbones.table import resize_mask
from runners.networks.uninext.config import N_LEVELS, BackboneSizes, ConvNextSizes, ResNetSizes, UninextConfig
from runners.networks.uninext.convnext import ConvNext
from runners.networks.uninext.vit import Vit

_GROUPS = 32


class ThreeLevelResNet(ResNet):
    """ResNet without its stride-4 level."""

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return res3, res4, res5 of frames `(N, 3, H, W)`."""
        return super().forward(images)[1:]


def build_backbone(sizes: BackboneSizes) -> nn.Module:
    """Return the backbone of these sizes: frames `(N, 3, H, W)` in, maps at strides 8, 16, 32 out."""
    if isinstance(sizes, ResNetSizes):
        return ThreeLevelResNet(sizes.blocks, sizes.width, norm=sizes.norm)
    return ConvNext(sizes) if isinstance(sizes, ConvNextSizes) else Vit(sizes)


def build_projections(config: UninextConfig) -> nn.ModuleList:
    """Return the level projections: 1x1 on the three backbone maps, 3x3 stride 2 on the last one again."""
    channels = config.backbone.channels
    convolutions = [nn.Conv2d(wide, config.width, 1) for wide in channels]
    # Stride 64 from the raw last map, not from its projection.
    convolutions.append(nn.Conv2d(channels[-1], config.width, 3, stride=2, padding=1))
    return nn.ModuleList(nn.Sequential(layer, nn.GroupNorm(_GROUPS, config.width)) for layer in convolutions)


@dataclass(frozen=True, slots=True, eq=False)
class Visual:
    """N frames as tokens of all levels, row by row, level after level.

    Args:
        tokens: `(N, S, C)` projected maps.
        positions: `(N, S, C)` sine encodings with the level embedding.
        padding: `(N, S)` bool, true where the frame was padded.
        shapes: height and width of each level's map.
        valid: `(N, levels, 2)` numbers of valid columns and rows of each level.
        sizes: `(N, 2)` float32, height and width of the frames before padding, pixels.
    """

    tokens: Tensor
    positions: Tensor
    padding: Tensor
    shapes: tuple[tuple[int, int], ...]
    valid: Tensor
    sizes: Tensor

    @property
    def ratios(self) -> Tensor:
        """Valid share of each level, `(N, levels, 2)`, width first."""
        # (levels, 2) as (width, height), the order of (x, y)
        whole = self.valid.new_tensor([[width, height] for height, width in self.shapes])
        return self.valid / whole

    def select(self, frames: Tensor) -> Visual:
        """Return the frames of these indices, `(M,)` int64; repeats are allowed."""
        return Visual(
            self.tokens[frames],
            self.positions[frames],
            self.padding[frames],
            self.shapes,
            self.valid[frames],
            self.sizes[frames],
        )


def level_masks(padding: Tensor, shapes: tuple[tuple[int, int], ...]) -> list[Tensor]:
    """Return each level's padding `(N, h, w)`; the last takes the first's. Source: uninext.md, section 4."""
    masks = [resize_mask(padding, shape) for shape in shapes[: N_LEVELS - 1]]
    return [*masks, resize_mask(masks[0], shapes[-1])]


def gather_levels(maps: list[Tensor], padding: Tensor, sizes: Tensor, level_embedding: Tensor) -> Visual:
    """Return the tokens of projected maps `(N, C, h, w)`; `level_embedding` is `(levels, C)`."""
    shapes = tuple((level.shape[2], level.shape[3]) for level in maps)
    masks = level_masks(padding, shapes)
    channels = level_embedding.shape[1]
    positions = [
        # (N, C, h, w) -> (N, h * w, C), and the level's own vector: sines of the levels are alike
        sine_encoding_2d(mask, channels).flatten(2).transpose(1, 2) + embedding
        for mask, embedding in zip(masks, level_embedding, strict=True)
    ]
    # First row and first column tell the valid columns and rows, as padding is right and below: (N, levels, 2)
    valid = torch.stack([torch.stack([(~mask[:, 0]).sum(1), (~mask[:, :, 0]).sum(1)], dim=1) for mask in masks], dim=1)
    return Visual(
        tokens=torch.cat([level.flatten(2).transpose(1, 2) for level in maps], dim=1),
        positions=torch.cat(positions, dim=1),
        padding=torch.cat([mask.flatten(1) for mask in masks], dim=1),
        shapes=shapes,
        valid=valid.to(level_embedding.dtype),
        sizes=sizes.to(level_embedding.dtype),
    )
