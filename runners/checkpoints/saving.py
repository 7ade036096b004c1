"""Tensors written as safetensors: equal networks as equal bytes."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor, nn

from runners.checkpoints.loading import CONFIG_ENTRY, NETWORK_ENTRY
from rvos.files.atomic import write_atomically

_LENGTH_BYTES = 8


def save_network(path: Path, name: str, config: object, module: nn.Module, dtype: torch.dtype = torch.float32) -> None:
    """Write a network of our own as safetensors that say how to build it; floats are stored as `dtype`.

    Args:
        name: the runner that loads it.
        config: the frozen dataclass that the network was built from.

    Raises:
        StoreError: the file cannot be written.
    """
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"{name}: the configuration is of type {type(config).__name__}; give the network's dataclass")
    # Tied parameters have two names; the format wants them as two tensors.
    state = {
        key: (value.to(dtype) if value.is_floating_point() else value).detach().cpu().contiguous().clone()
        for key, value in module.state_dict().items()
    }
    metadata = {NETWORK_ENTRY: name, CONFIG_ENTRY: json.dumps(dataclasses.asdict(config))}
    write_tensors(path, state, metadata)


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write safetensors atomically, equal content as equal bytes; StoreError where they cannot be written."""
    content = save(tensors)
    start = _LENGTH_BYTES + int.from_bytes(content[:_LENGTH_BYTES], "little")
    # The library would write the entries of its metadata in a random order.
    entries = {"__metadata__": dict(sorted(metadata.items())), **json.loads(content[_LENGTH_BYTES:start])}
    header = json.dumps(entries, separators=(",", ":")).encode()
    header += b" " * (-len(header) % _LENGTH_BYTES)
    write_atomically(path, [len(header).to_bytes(_LENGTH_BYTES, "little"), header, content[start:]])
