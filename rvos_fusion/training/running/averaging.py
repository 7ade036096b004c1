"""Exponential moving average of the weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class AveragedWeights:
    """Averages of a network's parameters, and copies of its buffers. Source: aot.md, section 12.

    Args:
        decay: of one update, 0 <= decay < 1; warmed up as min(decay, (1 + n) / (10 + n)).
    """

    def __init__(self, network: nn.Module, *, decay: float) -> None:
        self.decay = decay
        self.n_updates = 0
        self.state: dict[str, Tensor] = {name: value.detach().clone() for name, value in network.state_dict().items()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        """Move the averages towards the network's weights."""
        decay = min(self.decay, (1 + self.n_updates) / (10 + self.n_updates))
        self.n_updates += 1
        for name, value in network.state_dict().items():
            if value.is_floating_point():
                self.state[name].lerp_(value.detach(), 1 - decay)
            else:
                self.state[name].copy_(value)

    @contextmanager
    def applied_to(self, network: nn.Module) -> Iterator[None]:
        """Put the averages into the network for the length of the context."""
        own = {name: value.detach().clone() for name, value in network.state_dict().items()}
        network.load_state_dict(self.state)
        try:
            yield
        finally:
            network.load_state_dict(own)


def decay_for(fraction: float, n_steps: int) -> float:
    """Return the decay that looks back over `fraction` of the training, `1 - 1 / (fraction * n_steps)`."""
    return 1 - 1 / max(fraction * n_steps, 1.0)
