"""Linear layers and 1x1 convolutions through oneDNN on the CPU, as torch computes its other convolutions.

torch hands float32 products of matrices to MKL, and 1x1 convolutions too where a process has one thread; some
processors run these 5 to 40 % slower than oneDNN. The operators are those that torch's own compiler writes in place of
the layers; where a build has none, layers stay what they are.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import conv2d, linear

# Below so many multiply-adds the call costs more than the product gains.
_LEAST_PRODUCTS = 1 << 24
_POINT = (1, 1)


def direct_linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `inputs @ weight.T + bias`, (..., out), by the faster library where that is possible."""
    if not _is_direct(inputs, weight):
        return linear(inputs, weight, bias)
    # No function of the result and no second summand: the plain product of the operator. A part of a larger weight
    # would be multiplied by a loop that is a thousand times slower.
    return torch.ops.mkldnn._linear_pointwise(inputs, weight.contiguous(), bias, "none", [], "")


def direct_convolution(inputs: Tensor, weight: Tensor, bias: Tensor | None, layer: nn.Conv2d) -> Tensor:
    """Return the convolution (B, out, h, w) of a layer with other weights (out, in, k, k) than its own.

    1x1 kernels go through the faster library where that is possible; larger ones are there already.
    """
    stride, padding, dilation = (
        cast(tuple[int, int], values) for values in (layer.stride, layer.padding, layer.dilation)
    )
    if layer.kernel_size != _POINT or layer.groups != 1 or not _is_direct(inputs, weight):
        return conv2d(inputs, weight, bias, stride, padding, dilation, layer.groups)
    return torch.mkldnn_convolution(inputs, weight.contiguous(), bias, padding, stride, dilation, 1)


class DirectLinear(nn.Linear):
    """`nn.Linear` by `direct_linear`."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (..., out) of (..., in)."""
        return direct_linear(inputs, self.weight, self.bias)


class DirectConvolution(nn.Conv2d):
    """A 1x1 `nn.Conv2d` by `direct_convolution`."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (B, out, h, w) of (B, in, h, w)."""
        return direct_convolution(inputs, self.weight, self.bias, self)


def use_direct_products(network: nn.Module) -> None:
    """Let plain linear layers and 1x1 convolutions go through the faster library; weights, names and results stay."""
    for module in network.modules():
        # Subclasses have a forward of their own, or are read by a fused layer that never calls it.
        if type(module) is nn.Linear:
            module.__class__ = DirectLinear
        # Padding that is named, or reflected, is the library's own business.
        elif type(module) is nn.Conv2d and module.kernel_size == _POINT and module.padding == (0, 0):
            module.__class__ = DirectConvolution


def _is_direct(inputs: Tensor, weight: Tensor) -> bool:
    # The operators have no gradient, autocast does not know them, and a compiled network makes its own choice.
    if torch.compiler.is_compiling() or torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
        return False
    return (
        _has_operators()
        and inputs.device.type == weight.device.type == "cpu"
        and inputs.dtype == weight.dtype == torch.float32
        and inputs.numel() * weight.shape[0] >= _LEAST_PRODUCTS
    )


def _has_operators() -> bool:
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and hasattr(torch.ops.mkldnn, "_linear_pointwise") and hasattr(torch, "mkldnn_convolution")
