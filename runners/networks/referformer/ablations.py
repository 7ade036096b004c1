"""The parts that ablations put in the place of ReferFormer's own; `PlainBlock` of the pyramid is a further one."""

from __future__ import annotations

from itertools import repeat

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runners.networks.parts.dynamic_masks import COORDINATES, count_parameters
from runners.networks.parts.heads import Perceptron


class BlankQueries(nn.Module):
    """Queries that know nothing of the sentence: the content starts at zero, as in plain detection transformers."""

    def forward(self, sentence: Tensor) -> Tensor:
        """Return zeros `(E, C)`."""
        return torch.zeros_like(sentence)


class PlaceBlindFilters(Perceptron):
    """Filters that predict no weights for the relative coordinates: features alone tell queries apart."""

    def __init__(self, width: int, layers: int, *, features: int, channels: int) -> None:
        outputs = count_parameters(features, channels) - COORDINATES * channels
        super().__init__(*repeat(width, layers), outputs)
        self._shape = (channels, features)

    def forward(self, values: Tensor) -> Tensor:
        """Return (..., count_parameters) with zeros for the coordinates, which follow the features in every row."""
        first, rest = super().forward(values).tensor_split([self._shape[0] * self._shape[1]], -1)
        weights = F.pad(torch.unflatten(first, -1, self._shape), (0, COORDINATES))
        return torch.cat((weights.flatten(-2), rest), -1)
