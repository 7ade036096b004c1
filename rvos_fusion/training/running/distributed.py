"""Several processes on one training, as torchrun starts them."""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import distributed


@dataclass(frozen=True, slots=True)
class Ranks:
    """This process among the processes of the training; rank 0 of 0 to world - 1 writes files and validates."""

    rank: int
    world: int
    device: torch.device

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0


@contextmanager
def join_ranks(device: str | None = None) -> Iterator[Ranks]:
    """Join the processes that torchrun started (its environment variables tell); alone without it."""
    world = int(os.environ.get("WORLD_SIZE", "1"))
    local = int(os.environ.get("LOCAL_RANK", "0"))
    kind = device or ("cuda" if torch.cuda.is_available() else "cpu")
    own = torch.device(f"cuda:{local}" if kind == "cuda" else kind)
    if own.type == "cuda":
        torch.cuda.set_device(own)
    if world == 1:
        yield Ranks(0, 1, own)
        return
    # It takes the group of that moment as a default argument, and DistributedDataParallel imports it: loaded after the
    # group, it holds the group, and threads of the group run on while the interpreter ends, which aborts the process.
    importlib.import_module("torch.distributed.nn.functional")
    distributed.init_process_group("nccl" if own.type == "cuda" else "gloo")
    try:
        yield Ranks(distributed.get_rank(), world, own)
    finally:
        distributed.destroy_process_group()


def wait_for_all() -> None:
    """Return when every process of the training has come here."""
    if distributed.is_available() and distributed.is_initialized():
        distributed.barrier()
