"""The mask branch: pixel features of stride 8, painted by each query's own small network."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runners.networks.backbones.light_pyramid import add_upsampled, convolution
from runners.networks.parts.dynamic_masks import count_parameters, dynamic_masks
from runners.networks.parts.heads import Perceptron
from runners.networks.uninext.config import FEATURE_STRIDE, UninextConfig

_COORDINATES = 2
OUTPUT_STRIDE = 4


class MaskFeatures(nn.Module):
    """Merge maps of strides 32, 16, 8 to non-negative stride-8 features. Source: uninext.md, section 10, step 1."""

    def __init__(self, config: UninextConfig) -> None:
        super().__init__()
        width, narrow = config.width, config.width // 4
        self.lay1 = convolution(width, narrow)
        self.lay2 = convolution(narrow, config.mask_channels)
        self.lay3 = convolution(width, width)
        self.lay4 = convolution(width, width)
        # An ordinary convolution in spite of its name.
        self.jia_dcn = convolution(width, width)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Return features `(N, mask channels, h, w)` of maps `(N, C, h_l, w_l)` at strides 8, 16, 32."""
        fine, middle, coarse = maps[:3]
        # (N, C, H/32, W/32) -> H/16 -> H/8; the lower map is added before each convolution, resized by nearest
        merged = self.lay3(coarse).relu()
        merged = self.lay4(add_upsampled(middle, merged)).relu()
        merged = self.jia_dcn(add_upsampled(fine, merged)).relu()
        return self.lay2(self.lay1(merged).relu()).relu()


def build_controller(config: UninextConfig) -> Perceptron:
    """Return the network that gives a query's filters, `(..., C)` to `(..., n)`."""
    controller = Perceptron(
        config.width, config.width, config.width, count_parameters(config.mask_channels, config.mask_channels)
    )
    controller.reset_xavier()
    return controller


def paint(features: Tensor, filters: Tensor, centres: Tensor, sizes: Tensor) -> Tensor:
    """Return mask logits at stride 8, `(N, P, h, w)`. Source: uninext.md, section 10, steps 2 to 4.

    Args:
        features: `(N, F, h, w)`.
        filters: `(N, P, n)` of the painted queries.
        centres: `(N, P, 2)` as (x, y) in [0, 1] of the unpadded frame.
        sizes: `(N, 2)` height and width of the unpadded frame, pixels.
    """
    channels = features.shape[1]
    inputs = channels + _COORDINATES
    first, rest = filters.split_with_sizes([channels * inputs, filters.shape[-1] - channels * inputs], dim=-1)
    # (..., channels, 2 + features) -> (..., channels, features + 2): here coordinates come first, in SOC last
    turned = torch.unflatten(first, -1, (channels, inputs)).roll(-_COORDINATES, dims=-1)
    ordered = torch.cat([turned.flatten(-2), rest], dim=-1)
    return dynamic_masks(features, ordered, centres, sizes, channels=channels, stride=FEATURE_STRIDE)


def double_aligned(logits: Tensor) -> Tensor:
    """Return `(N, P, h, w)` as `(N, P, 2h, 2w)`, corners aligned. Source: uninext.md, section 10, step 5."""
    height, width = logits.shape[-2:]
    # The two bilinear steps disagree on purpose: corners aligned from stride 8 to 4, not aligned from 4 to 1. Cell i of
    # stride 8 comes to lie on pixel 2 i + 1 of stride 4.
    grown = F.pad(logits, (0, 1, 0, 1), mode="replicate")
    grown = F.interpolate(grown, size=(2 * height + 1, 2 * width + 1), mode="bilinear", align_corners=True)
    return F.pad(grown, (1, 0, 1, 0), mode="replicate")[..., : 2 * height, : 2 * width]


def full_size_logits(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Return logits `(N, P, h, w)` of stride 4 at stride 1, cropped to the unpadded frame `size` (H, W)."""
    grown = F.interpolate(logits, scale_factor=OUTPUT_STRIDE, mode="bilinear", align_corners=False)
    return grown[..., : size[0], : size[1]]
