"""Folders as the hub has them: `config.json` beside weights in one safetensors file, or in parts with their index."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from deaot_toolkit.checkpoints import read_safetensors, strip
from deaot_toolkit.errors import CheckpointError

HUB_WEIGHTS = "model.safetensors"
HUB_INDEX = f"{HUB_WEIGHTS}.index.json"
_DAMAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError)


def check_hub_folder(folder: Path, *, model_type: str, network: str, file: str) -> None:
    """Check that a folder's configuration is of a network.

    Args:
        model_type: what `config.json` has to state.
        network, file: its name, and the official file that could be given instead, for messages.

    Raises:
        CheckpointError: no readable `config.json`, or of another model.
    """
    try:
        stated = _read_entry(folder / "config.json", "model_type")
    except _DAMAGE as error:
        raise CheckpointError(
            f"{folder}: no folder of the hub ({type(error).__name__} in config.json); give one with config.json and "
            f"{HUB_WEIGHTS}, or {file}"
        ) from None
    if stated != model_type:
        raise CheckpointError(
            f"{folder}: holds a model of type {ascii(stated)[:40]}, expected {model_type!r}; give {network}"
        )


def read_hub_weights(folder: Path, *, outline: bool = False) -> dict[str, Tensor]:
    """Return the state dict of a folder, from its one file or, without that, from the parts that its index lists.

    Args:
        outline: tensors without their values, on the device `meta`.

    Raises:
        CheckpointError: no weights, or damaged; a part is missing, or holds other weights than the index says.
    """
    index = folder / HUB_INDEX
    if (folder / HUB_WEIGHTS).exists() or not index.is_file():
        return strip(read_safetensors(folder / HUB_WEIGHTS, outline=outline)[0])
    try:
        places: Mapping[str, str] = _read_entry(index, "weight_map")
        parts = sorted(set(places.values()))
        if not parts or any(Path(part).name != part for part in parts):
            raise ValueError("it names no files beside it")
    except _DAMAGE as error:
        raise CheckpointError(f"{index}: no index of parts ({error!s:.80}); copy the folder again") from None
    state: dict[str, Tensor] = {}
    for part in parts:
        found, _ = read_safetensors(folder / part, is_part=True, outline=outline)
        if found.keys() != {name for name, place in places.items() if place == part}:
            raise CheckpointError(f"{folder / part}: other weights than {HUB_INDEX} says; copy the folder again")
        state |= found
    # Only now: a wrapper is around the whole, and a part may hold one module alone.
    return strip(state)


def _read_entry(path: Path, entry: str) -> Any:
    if not path.is_file():  # a pipe would be read for ever
        raise FileNotFoundError(path)
    return json.loads(path.read_bytes())[entry]
