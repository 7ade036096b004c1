"""One safe way to read a checkpoint and to load it whole: no code is executed, every key is accounted for."""

from __future__ import annotations

import argparse
import collections
import dataclasses
import json
import pickle
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from zipfile import is_zipfile

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn

from runners.plain_pickles import is_plain_pickle, read_plain_pickle
from rvos.errors import CheckpointError, InputError
from rvos.files import write_atomically
from rvos.json_files import parse_json

ENVELOPES = ("model", "model_state_dict", "state_dict")
_SHOWN_KEYS = 8
_NETWORK_ENTRY, _CONFIG_ENTRY = "rvos_network", "config"
_ARRAY_TYPES = ("float64", "float32", "float16", "int64", "int32", "uint8", "bool")


@dataclass(frozen=True, slots=True)
class CheckpointFile:
    """The state dict of a file and what came with it.

    Args:
        path: the file.
        state: parameter name -> tensor, on the CPU.
        envelope: entry that held the state dict; empty for a bare one.
        hyper_parameters: the training arguments in the file, if any.
        metadata: text entries of a safetensors header.
    """

    path: Path
    state: dict[str, Tensor]
    envelope: str = ""
    hyper_parameters: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What became of every key: names as in the file; `renamed` maps file name -> network name."""

    matched: tuple[str, ...]
    renamed: Mapping[str, str]
    ignored: tuple[str, ...]
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]

    @property
    def is_complete(self) -> bool:
        """Whether nothing is missing, unexpected or of another shape."""
        return not (self.missing or self.unexpected or self.mismatched)


def read_checkpoint(path: Path) -> CheckpointFile:
    """Return the state dict in a `.pth`, `.pt`, `.tar`, `.pkl` (torch, or pickled arrays) or `.safetensors` file.

    Raises:
        CheckpointError: missing, damaged, holding no state dict, or wanting to execute code.
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such checkpoint; check the path in the recipe")
    if is_plain_pickle(path):
        return _unwrap(path, read_plain_pickle(path))
    return _read_safetensors(path) if path.suffix == ".safetensors" else _read_torch(path)


def _read_safetensors(path: Path) -> CheckpointFile:
    try:
        with safe_open(path, framework="pt") as stream:
            metadata = stream.metadata() or {}
            state = {name: stream.get_tensor(name) for name in stream.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error}); copy it again") from None
    return CheckpointFile(path, state, metadata=metadata)


@contextmanager
def _allowed() -> Iterator[None]:
    """The only classes, beside tensors and containers, that official files are known to hold."""
    arrays: list[Any] = [np.dtype, np.ndarray, *(type(np.dtype(name)) for name in _ARRAY_TYPES)]
    # NumPy moved these two; files of either age name them by one of two modules.
    rebuild = {"scalar": np.float64(0).__reduce__()[0], "_reconstruct": np.empty(0).__reduce__()[0]}
    moved = [
        (function, f"numpy.{core}.multiarray.{name}")
        for name, function in rebuild.items()
        for core in ("core", "_core")
    ]
    containers: list[Any] = [argparse.Namespace, collections.defaultdict, collections.OrderedDict, dict]
    with torch.serialization.safe_globals([*containers, *arrays, *moved]):
        yield


def _read_torch(path: Path) -> CheckpointFile:
    try:
        with _allowed():
            # Mapped, so that the parts of a file that the network never reads cost no memory.
            content = torch.load(path, map_location="cpu", weights_only=True, mmap=is_zipfile(path))
    except pickle.UnpicklingError as error:
        refused = re.search(r"GLOBAL (\S+)|Unsupported (?:global|class) (\S+)", str(error))
        what = next((name for name in refused.groups() if name), "an object") if refused else "an object"
        raise CheckpointError(
            f"{path}: refused, it holds {what} that only executing code could rebuild; "
            "save its state dict with torch.save or safetensors"
        ) from None
    except (
        RuntimeError,
        EOFError,
        ValueError,
        OSError,
        KeyError,
        IndexError,
        AttributeError,
        TypeError,
    ) as error:
        raise CheckpointError(f"{path}: not a readable torch file ({error}); copy it again") from None
    return _unwrap(path, content)


def _unwrap(path: Path, content: object) -> CheckpointFile:
    """Return the state dict inside the envelope of `content`."""
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: holds a {type(content).__name__}, not a state dict; give a checkpoint")
    envelope = next((name for name in ENVELOPES if isinstance(content.get(name), Mapping)), "")
    state = content[envelope] if envelope else content
    tensors = {
        str(name): torch.from_numpy(value) if isinstance(value, np.ndarray) else value for name, value in state.items()
    }
    if not tensors or not all(isinstance(value, Tensor) for value in tensors.values()):
        raise CheckpointError(f"{path}: no state dict under {', '.join(ENVELOPES)}; give a checkpoint")
    if all(name.startswith("module.") for name in tensors):
        tensors = {name.removeprefix("module."): value for name, value in tensors.items()}
    arguments = content.get("args") if envelope else None
    hyper_parameters = vars(arguments) if isinstance(arguments, argparse.Namespace) else {}
    return CheckpointFile(path, tensors, envelope, hyper_parameters)


def match_keys(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    renames: Sequence[tuple[str, str]] = (),
    ignored: Sequence[str] = (),
) -> tuple[dict[str, Tensor], LoadReport]:
    """Return the state under the network's names, and what became of every key.

    Args:
        renames: (regular expression, replacement) pairs applied to file names with `re.sub`, in order.
        ignored: regular expressions, searched in the file name, of keys that this network never reads.
    """
    expected = module.state_dict()
    taken: dict[str, Tensor] = {}
    matched, renamed, skipped, unexpected, mismatched = [], {}, [], [], []
    for name, value in state.items():
        target = name
        for pattern, replacement in renames:
            target = re.sub(pattern, replacement, target)
        if target in expected:
            if expected[target].shape != value.shape:
                mismatched.append(f"{name} {tuple(value.shape)}, expected {tuple(expected[target].shape)}")
                continue
            taken[target] = value
            if target == name:
                matched.append(name)
            else:
                renamed[name] = target
        elif any(re.search(pattern, name) for pattern in ignored):
            skipped.append(name)
        else:
            unexpected.append(name)
    missing = [name for name in expected if name not in taken]
    report = LoadReport(tuple(matched), renamed, tuple(skipped), tuple(missing), tuple(unexpected), tuple(mismatched))
    return taken, report


def load_strict(
    module: nn.Module,
    file: CheckpointFile,
    *,
    renames: Sequence[tuple[str, str]] = (),
    ignored: Sequence[str] = (),
) -> LoadReport:
    """Load every key of `file` into `module`, or nothing.

    Raises:
        CheckpointError: keys missing, unexpected or of another shape, or values that are not finite.
    """
    taken, report = match_keys(module, file.state, renames=renames, ignored=ignored)
    problems = []
    for what, names in (
        ("missing", report.missing),
        ("unexpected", report.unexpected),
        ("of another shape", report.mismatched),
    ):
        if names:
            more = f" and {len(names) - _SHOWN_KEYS} more" if len(names) > _SHOWN_KEYS else ""
            problems.append(f"{len(names)} {what}: {', '.join(names[:_SHOWN_KEYS])}{more}")
    if problems:
        raise CheckpointError(
            f"{file.path}: does not fit {type(module).__name__}, nothing was loaded; {'; '.join(problems)}; "
            "`rvos checkpoint` tells what the file is"
        )
    broken = [name for name, value in taken.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise CheckpointError(f"{file.path}: NaN or infinity in {', '.join(broken[:_SHOWN_KEYS])}; get the file again")
    module.load_state_dict(taken)
    return report


def save_network(path: Path, name: str, config: object, module: nn.Module, dtype: torch.dtype = torch.float32) -> None:
    """Write a network of our own as safetensors that say how to build it; floats are stored as `dtype`.

    Args:
        name: the runner that loads it.
        config: the frozen dataclass that the network was built from.

    Raises:
        StoreError: the file cannot be written.
    """
    if not dataclasses.is_dataclass(config) or isinstance(config, type):
        raise TypeError(f"{name}: the configuration is a {type(config).__name__}; give the network's dataclass")
    # Tied parameters have two names; the format wants them as two tensors.
    state = {
        key: (value.to(dtype) if value.is_floating_point() else value).detach().cpu().contiguous().clone()
        for key, value in module.state_dict().items()
    }
    metadata = {_NETWORK_ENTRY: name, _CONFIG_ENTRY: json.dumps(dataclasses.asdict(config))}
    write_atomically(path, to_safetensors(state, metadata))


def read_network_config(file: CheckpointFile) -> tuple[str, dict[str, Any]] | None:
    """Return the runner's name and the configuration in a file of `save_network`; None for any other file.

    Raises:
        CheckpointError: the configuration is damaged.
    """
    if _NETWORK_ENTRY not in file.metadata:
        return None
    try:
        config = parse_json(file.metadata.get(_CONFIG_ENTRY, "").encode(), where=str(file.path))
    except InputError as error:
        raise CheckpointError(f"{file.path}: its network configuration is damaged ({error}); copy it again") from None
    if not isinstance(config, dict):
        raise CheckpointError(f"{file.path}: its network configuration is no mapping; copy it again")
    return file.metadata[_NETWORK_ENTRY], config
