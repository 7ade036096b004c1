"""MUTR as a member.

Its scores are the same in every frame, so the official key frame is the first one; option `key_frame: confidence`
takes the frame with the surest mask instead.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from runners.base import ModelSettings
from runners.checkpoints import CheckpointFile, build_network, read_checkpoint, read_stated_config
from runners.networks.mutr import Mutr, MutrConfig
from runners.networks.released import load_released
from runners.referring import (
    ReferringRunner,
    compile_network,
    find_tokens,
    read_settings,
    released_backbone,
)
from rvos.errors import CheckpointError, ConfigError

NAME = "mutr"
_SHORT_SIDE = 432


def build(settings: ModelSettings, *, device: torch.device) -> ReferringRunner:
    """Return the runner of an official file or of our own safetensors.

    Option `eval_layer` (default: as the file's configuration says, 0 for official files) chooses the heads at
    evaluation; -1 is the consistent choice, 0 the released behaviour.

    Raises:
        CheckpointError: the checkpoint cannot be read safely, or does not fit.
        ConfigError: settings that this network does not have, or an unusable tokeniser folder.
    """
    file = read_checkpoint(settings.checkpoint)
    config = find_config(settings, file)
    options, own = read_settings(settings, device, short_side=_SHORT_SIDE, extra={"eval_layer": config.eval_layer})
    eval_layer = int(own["eval_layer"])
    if not -config.decoder_layers <= eval_layer < config.decoder_layers:
        raise ConfigError(f"mutr: eval_layer {eval_layer}; the network has {config.decoder_layers} decoder layers")
    tokens = find_tokens(settings, config.text)
    network = build_network(lambda: Mutr(replace(config, eval_layer=eval_layer)), file)
    load_released(network, file)
    if settings.compile:
        compile_network(network)
    return ReferringRunner(network, tokens, device, options)


def find_config(settings: ModelSettings, file: CheckpointFile) -> MutrConfig:
    """Return the network's sizes: from the file where it states them, else the released ones of its backbone.

    Raises:
        CheckpointError: the file holds another network.
    """
    stated = read_stated_config(file, NAME, MutrConfig)
    if stated is not None:
        return stated
    if not any(name.startswith("mti.") for name in file.state):
        raise CheckpointError(f"{file.path}: has no temporal interaction (mti.*), so it is not MUTR; set the runner")
    return MutrConfig(backbone=released_backbone(settings, file))
