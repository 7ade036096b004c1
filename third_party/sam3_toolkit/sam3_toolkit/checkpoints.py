"""SAM 3's weights, from `sam3.pt` and from the hub's folder: every key is accounted for, or none is loaded.

Source: docs/specs/sam3.md, sections 1, 4 and 14.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch
from deaot_toolkit.checkpoints import check_fit, read_state
from deaot_toolkit.errors import CheckpointError
from deaot_toolkit.file_values import take_values
from deaot_toolkit.hub_folders import check_hub_folder, read_hub_weights
from torch import Tensor

from sam3_toolkit.configs import CONFIGS, NetworkConfig
from sam3_toolkit.detector import Detector
from sam3_toolkit.key_names import HUB_KEY, OFFICIAL_KEY, UNUSED, convert_official
from sam3_toolkit.tracker import Tracker

_OTHERS = {
    "image_encoder.trunk.patch_embed.proj.weight": "SAM 2",
    "vision_encoder.backbone.patch_embed.projection.weight": "SAM 2",
}
"""Keys by which other models are told."""
_MULTIPLEX = "interactive_"
_GEOMETRY = UNUSED[0].partition("points_")[0]


def read_weights(path: Path, *, outline: bool = False) -> dict[str, Tensor]:
    """Return the state dict, under the names of the library's video model, of `sam3.pt` or of the hub's folder.

    Args:
        outline: tensors without their values, on the device `meta`.

    Raises:
        CheckpointError: missing, damaged, of another model, or wanting to execute code.
    """
    if path.is_dir():
        check_hub_folder(path, model_type="sam3_video", network="SAM 3", file="the official sam3.pt")
        state = read_hub_weights(path, outline=outline)
    else:
        state, _ = read_state(path, outline=outline)
    if any(_MULTIPLEX in name for name in state):
        raise CheckpointError(f"{path}: is of SAM 3.1 (multiplex), a network of another build; give sam3.pt of SAM 3")
    if OFFICIAL_KEY not in state:
        return state
    lacking = [name for name in UNUSED if name not in state]
    if lacking and any(name.startswith(_GEOMETRY) for name in state):
        names = ", ".join(lacking)
        raise CheckpointError(
            f"{path}: does not fit SAM 3, nothing was loaded; {len(lacking)} missing: {names}; get the whole file"
        )
    return convert_official(state)


def load_weights(module: Tracker | Detector, path: Path, *, network: str, outline: bool = False) -> None:
    """Load every key of a part of the network, or nothing; for an outline nothing, and no value is read.

    The file may lack the other part altogether, but what it holds must be whole.

    Args:
        network: its name in messages.

    Raises:
        CheckpointError: unreadable; keys missing, unexpected or of another shape; values that are not finite.
    """
    own = list_entries(module)
    state = read_weights(path, outline=outline)
    expected = list_expected(state, module.config) | own
    check_fit(expected, state, source=str(path), name=network, advice=_advise(state))
    if outline:
        return
    names = {name: _library_name(module, name) for name in module.state_dict()}
    take_values(module, {name: state[target] for name, target in names.items()})


def list_entries(module: Tracker | Detector) -> dict[str, Tensor]:
    """Return the entries of a part of the network under the names that files are read by."""
    return {_library_name(module, name): value for name, value in module.state_dict().items()}


def list_expected(state: Mapping[str, Tensor], config: NetworkConfig) -> dict[str, Tensor]:
    """Return the entries, without values, of the parts that a state dict under the library's names has anything of."""
    with torch.device("meta"):
        parts = [list_entries(part) for part in (Tracker(config), Detector(config))]
    shared = set(parts[0]) & set(parts[1])
    held = [part for part in parts if any(name in part and name not in shared for name in state)]
    return {name: value for part in held for name, value in part.items()}


def recognise(state: Mapping[str, Tensor]) -> str | None:
    """Return the network that keys under the library's names look like; None: no known one."""
    stem = state.get(HUB_KEY)
    if stem is None:
        return None
    trunk = HUB_KEY.partition("embeddings.")[0] + "layers."
    depth = len({name.removeprefix(trunk).partition(".")[0] for name in state if name.startswith(trunk)})
    fitting = (name for name, config in CONFIGS.items() if (config.width, config.depth) == (stem.shape[0], depth))
    return next(fitting, None)


def _library_name(module: Tracker | Detector, name: str) -> str:
    prefix = next(prefix for prefix in module.library_prefixes if name.startswith(prefix))
    return module.library_prefixes[prefix] + name.removeprefix(prefix)


def _advise(state: Mapping[str, Tensor]) -> str:
    """Return what to do about keys that do not fit."""
    if other := next((model for key, model in _OTHERS.items() if key in state), None):
        return f"it looks like {other}; name a network of {other}"
    network = recognise(state)
    return "give sam3.pt or the folder of SAM 3" if network is None else f"it looks like {network}; get the whole file"
