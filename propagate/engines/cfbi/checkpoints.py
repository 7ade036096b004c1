"""Official files: their envelope, their duplicated entries, and their names for our parts; all is loaded, or nothing.

Source: cfbi.md, section 1.
"""

from __future__ import annotations

import re
from pathlib import Path

import torch
from deaot_toolkit.checkpoints import check_fit, read_state
from deaot_toolkit.file_values import take_values
from torch import Tensor

from propagate.engines.cfbi.configs import CfbiConfig
from propagate.engines.cfbi.network import Cfbi
from propagate.engines.inputs import translated
from rvos.errors import CheckpointError

_GATES = tuple(f"IA{number}" for number in range(1, 9))
_LAYERS = tuple(f"layer{number}" for number in range(1, 9))
_STAGES = ("S1_{}1", "S1_{}2", "S2_{}1", "S2_{}2", "S2_{}3", "S3_{}1", "S3_{}2", "S3_{}3")
OFFICIAL_KEY = "dynamic_seghead.IA_final_fg.weight"
_ROOT = ("seperate_conv", "bn1", "embedding_conv", "bn2")
_SEMANTIC = dict(zip(("0", "1", "3", "4"), _ROOT, strict=True))
_MOBILE = re.compile(
    r"(feature_extracter\.backbone\.)(?:low_level_features|high_level_features|feautre_8x|feature_16x|feature_32x)\."
)


def is_duplicate(name: str) -> bool:
    """Tell whether an entry of an official file repeats another one: modules are registered twice there."""
    return name.startswith("semantic_embedding.") or bool(_MOBILE.match(name))


def repeated(name: str) -> str:
    """Return the name of the entry that a duplicate repeats."""
    number, _, rest = name.removeprefix("semantic_embedding.").partition(".")
    if name.startswith("semantic_embedding.") and number in _SEMANTIC:
        return f"{_SEMANTIC[number]}.{rest}"
    return _MOBILE.sub(r"\1features.", name)


def rename(name: str, config: CfbiConfig) -> str:
    """Return our name of an official entry."""
    name = name.removeprefix("module.")
    if name.split(".")[0] in _ROOT:
        return f"embedding.{name}"
    if name.startswith("fpn."):
        return f"embedding.{name.removeprefix('fpn.')}"
    prefix, _, rest = name.partition("dynamic_seghead.")
    if prefix or not rest:
        return name
    part, _, tail = rest.partition(".")
    gates, layers = _GATES, _LAYERS
    if config.is_pyramid:
        gates, layers = (tuple(form.format(word) for form in _STAGES) for word in ("IA", "layer"))
    if part in gates:
        return f"dynamic_seghead.blocks.{gates.index(part)}.gate.{tail}"
    if part in layers:
        return f"dynamic_seghead.blocks.{layers.index(part)}.block.{tail}"
    return f"dynamic_seghead.ASPP_IA.{tail}" if part == "IA9" else name


def read_weights(path: Path, config: CfbiConfig, *, outline: bool = False) -> dict[str, Tensor]:
    """Return an official file's tensors by our names; duplicates must repeat what they are duplicates of.

    Args:
        outline: tensors without their values, on the device `meta`.

    Raises:
        CheckpointError: missing, damaged, or wanting to execute code.
    """
    with translated():
        state, _ = read_state(path, outline=outline)
    state = {name.removeprefix("module."): value for name, value in state.items()}
    for name in filter(is_duplicate, state):
        original = state.get(repeated(name))
        if original is None or original.shape != state[name].shape:
            raise CheckpointError(f"{path}: {name} repeats {repeated(name)}, which is not there; get the file again")
        if not outline and not torch.equal(original, state[name]):
            raise CheckpointError(f"{path}: {name} is not equal to {repeated(name)}; get the file again")
    return {rename(name, config): value for name, value in state.items() if not is_duplicate(name)}


def load_weights(network: Cfbi, path: Path, *, name: str) -> None:
    """Load every entry of a checkpoint, or nothing; into a network on the device `meta` nothing, and no value is read.

    Raises:
        CheckpointError: unreadable; entries missing, unexpected or of another shape; values that are not finite.
    """
    expected = network.state_dict()
    outline = any(value.is_meta for value in expected.values())
    state = read_weights(path, network.config, outline=outline)
    with translated():
        check_fit(expected, state, source=str(path), name=name, advice=f"give a file of {name}")
    if not outline:
        take_values(network, state)
