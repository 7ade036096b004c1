"""Linear layers through oneDNN on the CPU, as torch computes its convolutions.

torch hands float32 products of matrices to MKL, which some processors run 10 to 25 % slower than oneDNN. The operator
is the one that torch's own compiler writes in place of `nn.Linear`; where a build has none, layers stay what they are.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

# Below so many multiply-adds the call costs more than the product gains.
_LEAST_PRODUCTS = 1 << 24


def direct_linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Return `inputs @ weight.T + bias`, (..., out), by the faster library where that is possible."""
    if not _is_direct(inputs, weight):
        return linear(inputs, weight, bias)
    # No function of the result and no second summand: the plain product of the operator.
    # A part of a larger weight would be multiplied by a loop that is a thousand times slower.
    result: Tensor = torch.ops.mkldnn._linear_pointwise(inputs, weight.contiguous(), bias, "none", [], "")
    return result


class DirectLinear(nn.Linear):
    """`nn.Linear` by `direct_linear`."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Return (..., out) of (..., in)."""
        return direct_linear(inputs, self.weight, self.bias)


def use_direct_linear(network: nn.Module) -> None:
    """Let all plain linear layers of a network multiply by `direct_linear`; weights, names and results stay."""
    for module in network.modules():
        # Subclasses have a forward of their own, or are read by a fused layer that never calls it.
        if type(module) is nn.Linear:
            module.__class__ = DirectLinear


def _is_direct(inputs: Tensor, weight: Tensor) -> bool:
    # The operator has no gradient, autocast does not know it, and a compiled network makes its own choice.
    if torch.compiler.is_compiling() or torch.is_grad_enabled() or torch.is_autocast_enabled("cpu"):
        return False
    return (
        _has_operator()
        and inputs.device.type == weight.device.type == "cpu"
        and inputs.dtype == weight.dtype == torch.float32
        and inputs.numel() * weight.shape[0] >= _LEAST_PRODUCTS
    )


def _has_operator() -> bool:
    available: bool = torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    return available and hasattr(torch.ops.mkldnn, "_linear_pointwise")
