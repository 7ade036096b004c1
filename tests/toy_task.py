"""A training task of a few numbers: a small network with dropout learns a fixed linear map."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from runners.checkpoints.saving import write_tensors


@dataclass(frozen=True, slots=True, eq=False)
class ToyBatch:
    """Inputs `(B, 3)` and the samples they came from."""

    inputs: Tensor
    indices: tuple[int, ...]

    def to(self, device: torch.device) -> ToyBatch:
        return ToyBatch(self.inputs.to(device), self.indices)


class ToyTask:
    """Task whose scores and batches are kept, so that tests can look at them."""

    score = "nearness"
    n_samples = 7

    def __init__(self, *, dropout: float = 0.2) -> None:
        self.network = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Dropout(dropout), nn.Linear(8, 2))
        self.seen: list[tuple[int, ...]] = []
        self.totals: list[float] = []
        self.progress: list[float] = []

    def batch(self, indices: list[int], seeds: list[int]) -> ToyBatch:
        noise = np.stack([np.random.default_rng(seed).normal(size=3) for seed in seeds])
        inputs = torch.tensor(noise, dtype=torch.float32) + torch.tensor(indices)[:, None]
        return ToyBatch(inputs, tuple(indices))

    def losses(self, batch: ToyBatch, progress: float) -> dict[str, Tensor]:
        wanted = batch.inputs @ torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        total = (self.network(batch.inputs) - wanted).square().mean()
        self.seen.append(batch.indices)
        self.totals.append(float(total.detach()))
        self.progress.append(progress)
        return {"error": total, "total": total}

    def validate(self, folder: Path) -> dict[str, float]:
        wanted = torch.eye(3) @ torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
        return {self.score: 100 / (1 + float((self.network(torch.eye(3)) - wanted).square().mean()))}

    def export(self, path: Path) -> None:
        write_tensors(path, {name: value.clone() for name, value in self.network.state_dict().items()}, {})
