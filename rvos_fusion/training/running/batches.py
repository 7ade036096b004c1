"""Which samples a step trains on: a function of seed, step and rank alone, so a resumed training sees the same."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset

from rvos_fusion.training.task import Task


@lru_cache(maxsize=2)
def _permutation(seed: int, epoch: int, n_samples: int) -> NDArray[np.int64]:
    return np.random.default_rng((seed, epoch)).permutation(n_samples)


def sample_index(position: int, *, n_samples: int, seed: int) -> int:
    """Return the sample at `position` of the endless stream of shuffled epochs."""
    epoch, place = divmod(position, n_samples)
    return int(_permutation(seed, epoch, n_samples)[place])


class BatchStream(Dataset[Any]):
    """Item i is the i-th batch of this process, counted from the start of the training."""

    def __init__(self, task: Task, *, batch: int, rank: int = 0, world: int = 1, seed: int = 0) -> None:
        self.task = task
        self.batch = batch
        self.rank = rank
        self.world = world
        self.seed = seed

    def __getitem__(self, item: int) -> Any:
        """Return the batch; its samples depend on `item` and the seed only."""
        first = (item * self.world + self.rank) * self.batch
        positions = range(first, first + self.batch)
        indices = [sample_index(place, n_samples=self.task.n_samples, seed=self.seed) for place in positions]
        seeds = [int(np.random.SeedSequence((self.seed, place)).generate_state(1)[0]) for place in positions]
        return self.task.batch(indices, seeds)


def batches(stream: BatchStream, *, first: int, last: int, workers: int = 0) -> Iterator[Any]:
    """Yield the batches `first` to `last - 1`, prepared by `workers` processes."""
    order = range(first, last)
    # The task and its network would be copied to the workers: they inherit it by fork, unused.
    loader: DataLoader[Any] = DataLoader(
        stream,
        batch_size=None,
        sampler=order,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
        # Its own generator: the loader would draw from the global one, which belongs to the training.
        generator=torch.Generator(),
    )
    yield from loader
