"""Safe and strict checkpoint files: no code is executed, every key is accounted for, nothing is loaded by half."""

from __future__ import annotations

import argparse
import collections
import os
import pickle
import stat
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from deaot_toolkit.configs import NetworkConfig, find_config, plain_name
from deaot_toolkit.errors import CheckpointError
from deaot_toolkit.file_values import WithoutInitialValues, is_finite, take_values
from deaot_toolkit.files.torch_files import DAMAGE, RefusedFileError, check_torch_file, is_torch_file, open_regular
from deaot_toolkit.network import VosNetwork
from deaot_toolkit.wrapped import ENVELOPES, find_state, unwrap_names

CONFIG_ENTRY = "deaot_config"
_SHOWN = 8
# A file that lacks some tensors is told which; only one that could not hold the network at all is not built for.
_MOST_CLAIMED = 16
_SLACK = 10_000_000
# Older files lack the mask token, which no network reads; index buffers are computed, not learned.
_TOLERATED = ("LSTT.mask_token", "relative_position_index")


def read_state(path: Path, *, outline: bool = False) -> tuple[dict[str, Tensor], NetworkConfig | None]:
    """Return the state dict of a `.safetensors` or torch file, and the configuration that came with it.

    Args:
        outline: tensors without their values, on the device `meta`.

    Raises:
        CheckpointError: missing, damaged, holding no state dict, or wanting to execute code.
    """
    if path.suffix == ".safetensors":
        tensors, text = read_safetensors(path, outline=outline)
        return strip(tensors), NetworkConfig.from_json(text) if text else None
    with open_regular(path) as stream:
        try:
            check_torch_file(stream)
            stream.seek(0)
            # Values of the newer form are brought in as they are used; torch maps a path, no stream.
            is_mapped = not outline and zipfile.is_zipfile(stream)
            stream.seek(0)
            # What official training scripts store beside the weights.
            with torch.serialization.safe_globals([argparse.Namespace, collections.defaultdict, dict]):
                content = torch.load(
                    path if is_mapped else stream,
                    map_location="meta" if outline else "cpu",
                    weights_only=True,
                    mmap=is_mapped,
                )
        except (RefusedFileError, pickle.UnpicklingError) as error:
            reason = " ".join(str(error).split())[:160]
            raise CheckpointError(
                f"{path}: refused, only executing code could read it ({reason}); save its state dict"
            ) from None
        except DAMAGE as error:
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            raise CheckpointError(f"{path}: not a readable torch file ({reason}); copy it again") from None
    if not isinstance(content, Mapping):
        raise CheckpointError(f"{path}: of type {type(content).__name__}, not a state dict; give a checkpoint")
    state, _ = find_state(content)
    if not state or not all(isinstance(name, str) and name.isprintable() for name in state):
        raise CheckpointError(f"{path}: no state dict under {' or '.join(ENVELOPES)}; give a checkpoint")
    if not all(_is_stored(value, outline=outline) for value in state.values()):
        raise CheckpointError(f"{path}: no state dict of plain, stored tensors; save it again with torch.save")
    return strip(state), None


def read_safetensors(path: Path, *, is_part: bool = False, outline: bool = False) -> tuple[dict[str, Tensor], str]:
    """Return the tensors of a safetensors file under its own names, and the stored configuration; empty: none.

    Args:
        is_part: one part of several is what is wanted.
        outline: tensors without their values, on the device `meta`.

    Raises:
        CheckpointError: missing, damaged, or something else.
    """
    with open_regular(path, is_part=is_part) as opened:
        if is_torch_file(opened):
            raise CheckpointError(
                f"{path}: a torch file inside, not safetensors; write its tensors with safetensors.torch.save_file"
            )
    try:
        with safe_open(path, framework="pt") as stream:
            text = (stream.metadata() or {}).get(CONFIG_ENTRY, "")
            names = stream.keys()
            if outline:
                state = {name: _sketch(stream.get_slice(name)) for name in names}
            else:
                state = {name: stream.get_tensor(name) for name in names}
    except (SafetensorError, *DAMAGE) as error:
        raise CheckpointError(f"{path}: not a whole safetensors file ({error}); copy it again") from None
    return state, text


def _sketch(part: Any) -> Tensor:
    """Return the tensor of a part of a safetensors file without its values."""
    is_integer = part.get_dtype()[0] in "IUB" and part.get_dtype() != "BF16"
    return torch.empty(part.get_shape(), dtype=torch.int64 if is_integer else torch.float32, device="meta")


def strip(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return a state dict without what trainers, compiled, averaged and parallel models add to its names."""
    return {target: state[name] for name, target in unwrap_names(state).items()}


def _is_stored(value: object, *, outline: bool) -> bool:
    """Tell whether all values of a tensor are in the file: an expanded one claims more."""
    if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_quantized:
        return False
    if value.is_meta and not outline:
        return False
    repeats = any(step == 0 and side > 1 for side, step in zip(value.shape, value.stride(), strict=True))
    return not repeats and value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def check_fit(
    expected: Mapping[str, Tensor],
    given: Mapping[str, Tensor],
    *,
    source: str,
    name: str,
    advice: str,
    tolerated: tuple[str, ...] = (),
) -> None:
    """Check that tensors are those of a network, and finite; of outlines there are no values.

    Args:
        source, name: of the file, and of the network.
        advice: what to do about tensors that do not fit.
        tolerated: ends of names that may be missing.

    Raises:
        CheckpointError: some are missing, unexpected or of another shape, or not finite.
    """
    lists = {
        "missing": [key for key in expected if key not in given and not key.endswith(tolerated)],
        "unexpected": [key for key in given if key not in expected],
        "of another shape": [
            f"{key} {tuple(value.shape)}, expected {tuple(expected[key].shape)}"
            for key, value in given.items()
            if key in expected and expected[key].shape != value.shape
        ],
    }
    problems = [f"{len(keys)} {what}: {_some(keys)}" for what, keys in lists.items() if keys]
    if problems:
        raise CheckpointError(f"{source}: does not fit {name}, nothing was loaded; {'; '.join(problems)}; {advice}")
    # One NaN spreads over all masks without a word.
    broken = [key for key, value in given.items() if not value.is_meta and not is_finite(value)]
    if broken:
        raise CheckpointError(f"{source}: NaN or infinity in {_some(broken)}; get the file again")


def load_state(network: VosNetwork, state: Mapping[str, Tensor], *, source: str) -> None:
    """Load every key of `state`, or nothing; float tensors are converted to the network's precision.

    Of an outline there is nothing to load.

    Raises:
        CheckpointError: keys missing, unexpected or of another shape, or values that are not finite.
    """
    expected = network.state_dict()
    # Counters of batch norms, which frozen norms do not have.
    given = {name: value for name, value in state.items() if not name.endswith("num_batches_tracked")}
    advice = "name the network that the file was made for"
    check_fit(expected, given, source=source, name=network.config.name, advice=advice, tolerated=_TOLERATED)
    if any(value.is_meta for value in given.values()):
        return
    moved = [
        name for name, value in given.items() if not value.is_floating_point() and not value.equal(expected[name].cpu())
    ]
    if moved:
        raise CheckpointError(f"{source}: another index in {_some(moved)}; the file is of a different encoder")
    take_values(network, given)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def load(path: Path | str, name: str | NetworkConfig | None = None, *, outline: bool = False) -> VosNetwork:
    """Return the network in a checkpoint, in evaluation mode.

    Args:
        path: official torch file, or safetensors; files of `save` carry their configuration.
        name: of the network, or its configuration; None: as the file says.
        outline: no weights are read, and the network is on the device `meta`: enough to tell whether they fit.

    Raises:
        CheckpointError: unreadable, without configuration and name, or not of this network.
        NetworkConfigError: unknown name.
    """
    state, config = read_state(Path(path), outline=outline)
    if isinstance(name, NetworkConfig):
        config = name
    elif config is None:
        if name is None:
            raise CheckpointError(f"{path}: does not say which network it is; give its name, such as r50-aotl")
        config = find_config(name)
    elif name is not None and plain_name(name) != plain_name(config.name):
        raise CheckpointError(f"{path}: holds a network {config.name}, not {name}; name that one")
    network = _build(config, state, source=str(path), outline=outline)
    load_state(network, state, source=str(path))
    return network.eval()


def _build(config: NetworkConfig, state: Mapping[str, Tensor], *, source: str, outline: bool) -> VosNetwork:
    """Return the network; it is built without memory first, as a file may state sizes far beyond its tensors."""
    try:
        with torch.device("meta"):
            sketch = VosNetwork(config)
    except DAMAGE as error:
        reason = " ".join(str(error).split())[:160] or type(error).__name__
        raise CheckpointError(f"{source}: the sizes that it states make no network ({reason}); copy it again") from None
    stated = sum(value.numel() for value in sketch.state_dict().values())
    held = sum(value.numel() for value in state.values())
    if stated > _SLACK + _MOST_CLAIMED * held:
        raise CheckpointError(f"{source}: states a network of {stated} values, but holds {held}; get the whole file")
    if outline:
        return sketch
    with WithoutInitialValues():
        return VosNetwork(config)


def save(network: VosNetwork, path: Path | str, *, dtype: torch.dtype = torch.float32) -> None:
    """Write weights, floats as `dtype`, and configuration as safetensors; the file appears whole or not at all."""
    target = Path(path)
    state = {
        name: (value.to(dtype) if value.is_floating_point() else value).contiguous().cpu()
        for name, value in network.state_dict().items()
    }
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        temporary = Path(folder) / target.name
        temporary.touch()
        mode = temporary.stat().st_mode
        save_file(state, temporary, metadata={CONFIG_ENTRY: network.config.to_json()})
        with temporary.open("rb") as stream:
            os.fsync(stream.fileno())
        temporary.chmod(stat.S_IMODE(mode))  # as the umask has it; the library lets nobody else read
        # Renamed when it is whole and on disk.
        temporary.replace(target)
