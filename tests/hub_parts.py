"""Weights of a folder in two parts with their index, as hubs store large networks."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file, save_file


def split_weights(folder: Path) -> None:
    """Put two parts and their index in the place of the one file."""
    state = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    parts = [f"model-0000{number}-of-00002.safetensors" for number in (1, 2)]
    # The second holds one tensor alone, so every word of its name looks like a wrapper.
    places = {name: parts[place == len(state) - 1] for place, name in enumerate(sorted(state))}
    for part in parts:
        save_file({name: value for name, value in state.items() if places[name] == part}, folder / part)
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": places}))
