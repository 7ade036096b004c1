"""The small prediction heads of the query networks."""

from __future__ import annotations

from itertools import pairwise

from torch import Tensor, nn


class Perceptron(nn.Module):
    """Linear layers with ReLU between them.

    Args:
        sizes: of the input, the hidden layers and the output.
    """

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(into, out) for into, out in pairwise(sizes))

    def forward(self, values: Tensor) -> Tensor:
        """Return (..., sizes[-1]) for (..., sizes[0])."""
        for layer in self.layers[:-1]:
            values = layer(values).relu()
        result: Tensor = self.layers[-1](values)
        return result
