"""Training states as safetensors: everything that an exact continuation needs, and no pickled code."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from runners.checkpoints.loading import CheckpointFile, match_keys, read_checkpoint
from runners.checkpoints.saving import write_tensors
from rvos.errors import CheckpointError
from rvos_fusion.training.config import InitialWeights
from rvos_fusion.training.running.averaging import AveragedWeights

FORMAT = "rvos-training-1"


@dataclass(slots=True)
class Position:
    """Where a training stands.

    Args:
        step: optimiser steps that are done.
        seconds: wall time used by all its runs.
        best: best validation score so far, 0 to 100; negative before the first.
    """

    step: int = 0
    seconds: float = 0.0
    best: float = -1.0


@dataclass(frozen=True, slots=True, eq=False)
class Trainable:
    """The parts of a training that change from step to step."""

    network: nn.Module
    optimiser: torch.optim.Optimizer
    average: AveragedWeights | None = None


def save_state(path: Path, parts: Trainable, position: Position, *, name: str, scale: float = 1.0) -> None:
    """Write the training's state atomically, with its loss scale; only a training of the same name reads it."""
    tensors = {f"network.{key}": value for key, value in parts.network.state_dict().items()}
    for index, state in parts.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{index}.{key}": torch.as_tensor(value) for key, value in state.items()}
    if parts.average:
        tensors |= {f"average.{key}": value for key, value in parts.average.state.items()}
    tensors["random.cpu"] = torch.get_rng_state()
    if torch.cuda.is_available():
        tensors["random.cuda"] = torch.cuda.get_rng_state()
    metadata = {
        "format": FORMAT,
        "training": name,
        "step": str(position.step),
        "seconds": repr(position.seconds),
        "best": repr(position.best),
        "scale": repr(scale),
        "average_updates": str(parts.average.n_updates if parts.average else 0),
    }
    # Tied and viewed tensors are written apart, as a state dict lists them.
    write_tensors(path, {key: value.detach().cpu().clone().contiguous() for key, value in tensors.items()}, metadata)


def load_state(path: Path, parts: Trainable, *, name: str) -> tuple[Position, float]:
    """Put a state into `parts`; return position and loss scale; CheckpointError: not this training's, or no fit."""
    file = read_checkpoint(path)
    metadata = file.metadata
    if metadata.get("format") != FORMAT or metadata.get("training") != name:
        found = metadata.get("training", "no training state")
        raise CheckpointError(f"{path}: holds {found}, expected the state of {name}; give another folder")
    try:
        parts.network.load_state_dict(_part(file, "network."))
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in _part(file, "optimiser.").items():
            index, _, entry = key.partition(".")
            state.setdefault(int(index), {})[entry] = value
        parts.optimiser.load_state_dict({**parts.optimiser.state_dict(), "state": state})
        if parts.average:
            parts.average.state = {key: value.clone() for key, value in _part(file, "average.").items()}
            parts.average.n_updates = int(metadata["average_updates"])
    except (RuntimeError, ValueError, KeyError) as error:
        reason = " ".join(str(error).split())[:300]
        raise CheckpointError(f"{path}: does not fit this configuration ({reason}); start anew") from None
    torch.set_rng_state(file.state["random.cpu"])
    if torch.cuda.is_available() and "random.cuda" in file.state:
        torch.cuda.set_rng_state(file.state["random.cuda"])
    position = Position(int(metadata["step"]), float(metadata["seconds"]), float(metadata["best"]))
    return position, float(metadata["scale"])


def _part(file: CheckpointFile, prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in file.state.items() if name.startswith(prefix)}


def start_from(network: nn.Module, initial: InitialWeights) -> int:
    """Load initial weights, return how many tensors; CheckpointError: nothing fits, or (strict) some lack."""
    file = read_checkpoint(initial.path)
    # Released Video-Swin files embed pairs of frames, the segmentation networks single ones: kernels `(C, 3, T, h, w)`
    # are summed over time (backbones.md, section 1.5).
    flat = {
        name: value.sum(2, keepdim=True) if value.dim() == 5 and value.shape[1] == 3 else value
        for name, value in file.state.items()
    }
    state, report = match_keys(network, flat, renames=initial.renames, ignored=("",))
    wanted = {name: value.float() for name, value in state.items() if re.search(initial.keep, name)}
    missing = [name for name in report.missing if re.search(initial.keep, name)] if initial.strict else []
    if missing or not wanted:
        some = ", ".join(missing[:5]) or "every key"
        raise CheckpointError(f"{initial.path}: {some} is missing or of another shape; check initial.keep and renames")
    network.load_state_dict({**network.state_dict(), **wanted})
    return len(wanted)
