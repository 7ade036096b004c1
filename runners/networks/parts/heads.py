"""The small prediction heads of the query networks."""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

# Chance of an object that an untrained class head states, so that the many empty queries do not swamp the first steps.
_PRIOR = 0.01
# Logit of the first boxes' sides, 0.12 of the frame.
_FIRST_SIZE = -2.0


class Perceptron(nn.Module):
    """Linear layers with ReLU between them; `sizes` of the input, the hidden layers and the output."""

    def __init__(self, *sizes: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(into, out) for into, out in pairwise(sizes))

    def reset_xavier(self) -> None:
        """Start all layers with Xavier-uniform weights and zero biases."""
        for name, parameter in self.named_parameters():
            if name.endswith("weight"):
                nn.init.xavier_uniform_(parameter)
            else:
                nn.init.zeros_(parameter)

    def reset_last(self, output: Tensor) -> None:
        """Start with the same `output` (sizes[-1],) whatever the input."""
        last = f"{len(self.layers) - 1}."
        # A zero weight hides the input, so that boxes start at their references whatever the states are.
        with torch.no_grad():
            self.layers.get_parameter(f"{last}weight").zero_()
            self.layers.get_parameter(f"{last}bias").copy_(output)

    def forward(self, values: Tensor) -> Tensor:
        """Return (..., sizes[-1]) for (..., sizes[0])."""
        for layer in self.layers[:-1]:
            values = layer(values).relu()
        return self.layers[-1](values)


def start_heads(classes: nn.ModuleList, boxes: nn.ModuleList) -> None:
    """Start the heads of decoder layers: objects are rare, the first layer's boxes small, later ones as they came."""
    for head in classes:
        nn.init.constant_(head.get_parameter("bias"), -math.log((1 - _PRIOR) / _PRIOR))
    for index, head in enumerate(boxes):
        assert isinstance(head, Perceptron)
        size = _FIRST_SIZE if index == 0 else 0.0
        head.reset_last(torch.tensor([0.0, 0.0, size, size]))
