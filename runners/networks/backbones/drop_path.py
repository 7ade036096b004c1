"""Stochastic depth: residual branches that are left out at random in training."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class DropPath(nn.Module):
    """Zero a residual branch for whole items with a probability in [0, 1), keeping its expectation."""

    def __init__(self, probability: float) -> None:
        super().__init__()
        self.probability = probability

    def forward(self, branch: Tensor) -> Tensor:
        """Return the branch `(B, ...)`, unchanged outside training."""
        if not self.training or self.probability == 0.0:
            return branch
        keep = 1.0 - self.probability
        shape = (len(branch),) + (1,) * (branch.ndim - 1)
        # Kept branches grow by 1 / keep, so that evaluation needs no correction.
        return branch * torch.empty(shape, dtype=branch.dtype, device=branch.device).bernoulli_(keep).div_(keep)


def linear_rates(largest: float, depths: tuple[int, ...]) -> list[list[float]]:
    """Return the rate of every block of every stage, growing linearly from 0 to `largest`."""
    n_blocks = sum(depths)
    rates = [largest * index / max(n_blocks - 1, 1) for index in range(n_blocks)]
    starts = [sum(depths[:stage]) for stage in range(len(depths))]
    return [rates[start : start + depth] for start, depth in zip(starts, depths, strict=True)]
