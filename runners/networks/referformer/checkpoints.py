"""Official and own files of ReferFormer and MUTR: their sizes, and loading them whole."""

from __future__ import annotations

from typing import TypeVar

from torch import Tensor

from runners.checkpoints.loading import CheckpointFile, LoadReport, load_strict, read_stated_config
from runners.networks.backbones.table import find_backbone
from runners.networks.parts.recognition import check_backbone, infer_backbone, name_backbone
from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.encoders import ReferringEncoders
from runners.networks.referformer.mutr import MutrConfig
from runners.networks.text.text_encoder import IGNORED_TEXT_KEYS
from rvos.errors import CheckpointError

Config = TypeVar("Config", bound=ReferFormerConfig)
# Constants that the networks compute themselves, and leftovers of a profiler.
IGNORED_KEYS = (
    *IGNORED_TEXT_KEYS,
    r"relative_position_index$",
    r"num_batches_tracked$",
    r"total_params$",
    r"total_ops$",
)


def find_referformer(file: CheckpointFile, *, backbone: str | None) -> ReferFormerConfig:
    """Return the network's sizes, from the file or as released; `backbone`: that the recipe names, or None.

    Raises:
        CheckpointError: the file holds another network.
        ConfigError: the recipe names another backbone.
    """
    stated = read_stated_config(file, "referformer", ReferFormerConfig)
    if stated is not None:
        return _checked(stated, file, backbone)
    if any(name.startswith(("mti.", "MTA.")) for name in file.state):
        raise CheckpointError(f"{file.path}: holds MUTR; set runner: mutr, or give a ReferFormer file")
    return ReferFormerConfig(backbone=_name_released(file, "referformer", backbone))


def find_mutr(file: CheckpointFile, *, backbone: str | None) -> MutrConfig:
    """Return the same of MUTR; see `find_referformer`."""
    stated = read_stated_config(file, "mutr", MutrConfig)
    if stated is not None:
        return _checked(stated, file, backbone)
    if not any(name.startswith("mti.") for name in file.state):
        raise CheckpointError(f"{file.path}: has no temporal interaction (mti.*), so it is not MUTR; set the runner")
    return MutrConfig(backbone=_name_released(file, "mutr", backbone))


def _checked(stated: Config, file: CheckpointFile, backbone: str | None) -> Config:
    check_backbone(backbone, stated.backbone_sizes or find_backbone(stated.backbone), path=file.path)
    return stated


def _name_released(file: CheckpointFile, runner: str, wanted: str | None) -> str:
    """Return the name of the backbone in an official file."""
    found = infer_backbone(file.state)
    name = name_backbone(found) if found is not None else None
    if name is None:
        raise CheckpointError(f"{file.path}: no released backbone of {runner}; `rvos checkpoint` tells more")
    if wanted is not None and find_backbone(wanted) != find_backbone(name):
        raise CheckpointError(
            f"{file.path}: its backbone is {name}, the recipe says {wanted}; correct or drop `backbone`"
        )
    return name


def load_released(network: ReferringEncoders, file: CheckpointFile) -> LoadReport:
    """Load a file whole; CheckpointError: it does not fit, or its window indices are not the released backbones'."""
    # Indices are computed here, not loaded: another one in the file tells that its windows have another size.
    for name, value in file.state.items():
        if name.endswith("relative_position_index") and not _is_ours(network, name, value):
            raise CheckpointError(f"{file.path}: {name} is not that of a 7x7 window; give a released backbone")
    return load_strict(network, file, ignored=IGNORED_KEYS)


def _is_ours(network: ReferringEncoders, name: str, value: Tensor) -> bool:
    """Return whether a stored index is the computed one; entries of other backbones are refused by their names."""
    try:
        ours = network.get_buffer(name)
    except AttributeError:
        return True
    # Of an outline only the shape is known.
    return ours.shape == value.shape and (value.is_meta or bool((ours.cpu() == value).all()))
