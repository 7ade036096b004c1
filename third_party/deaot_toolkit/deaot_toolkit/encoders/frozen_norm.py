"""Batch normalisation with fixed statistics, folded into the convolution before it."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from deaot_toolkit.products import direct_convolution

_EPSILON = 1e-5


class FrozenBatchNorm(nn.Module):
    """Affine terms and statistics of a batch norm, all buffers: training never changes them."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.ones(channels))
        self.register_buffer("bias", torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def scale_and_shift(self) -> tuple[Tensor, Tensor]:
        """Return the factor and the summand (channels,) that the norm amounts to."""
        scale = self.weight * (self.running_var + _EPSILON).rsqrt()
        return scale, self.bias - self.running_mean * scale


def convolve_and_norm(convolution: nn.Module, norm: nn.Module, inputs: Tensor) -> Tensor:
    """Return `norm(convolution(inputs))` in one convolution; kernels are scaled on the fly, which costs little."""
    layer, frozen = cast(nn.Conv2d, convolution), cast(FrozenBatchNorm, norm)
    scale, shift = frozen.scale_and_shift()
    # (out, in, k, k) * (out, 1, 1, 1)
    weight = layer.weight * scale[:, None, None, None]
    return direct_convolution(inputs, weight, shift, layer)
