"""MUTR as a member.

Its scores are the same in every frame, so the official key frame is the first one; option `key_frame: confidence`
takes the frame with the surest mask instead.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from runners.base import ModelSettings
from runners.checkpoints.loading import CheckpointFile, build_network, read_checkpoint, read_stated_config
from runners.checkpoints.resources import check_backbone, open_tokens
from runners.networks.backbones.table import find_backbone
from runners.networks.parts.released import load_released
from runners.networks.referformer.mutr import Mutr, MutrConfig
from runners.passes.options import MutrOptions
from runners.referring import ReferringRunner, compile_network, plan_clips, released_backbone
from rvos.errors import CheckpointError, ConfigError
from rvos.settings import load

NAME = "mutr"
_SHORT_SIDE = 432


def build(settings: ModelSettings, *, device: torch.device) -> ReferringRunner:
    """Return the runner of an official file or of our own safetensors.

    Options: those of `MutrOptions`.

    Raises:
        CheckpointError: the checkpoint cannot be read safely, or does not fit.
        ConfigError: settings that this network does not have, or an unusable tokeniser folder.
    """
    file = read_checkpoint(settings.checkpoint, outline=device.type == "meta")
    config = find_config(settings, file)
    options = load(MutrOptions, settings.options, where=settings.runner, part="options")
    eval_layer = config.eval_layer if options.eval_layer is None else options.eval_layer
    if not -config.decoder_layers <= eval_layer < config.decoder_layers:
        raise ConfigError(f"mutr: eval_layer {eval_layer}; the network has {config.decoder_layers} decoder layers")
    tokens = open_tokens(settings, vocabulary=config.text.vocab_size, max_tokens=config.text.max_tokens)
    network = build_network(lambda: Mutr(replace(config, eval_layer=eval_layer)), file)
    load_released(network, file)
    if settings.compile:
        compile_network(network)
    clips = plan_clips(settings, options, network, short_side=_SHORT_SIDE)
    return ReferringRunner(network, tokens, device, clips=clips, options=options)


def find_config(settings: ModelSettings, file: CheckpointFile) -> MutrConfig:
    """Return the network's sizes: from the file where it states them, else the released ones of its backbone.

    Raises:
        CheckpointError: the file holds another network.
    """
    stated = read_stated_config(file, NAME, MutrConfig)
    if stated is not None:
        check_backbone(settings, stated.backbone_sizes or find_backbone(stated.backbone))
        return stated
    if not any(name.startswith("mti.") for name in file.state):
        raise CheckpointError(f"{file.path}: has no temporal interaction (mti.*), so it is not MUTR; set the runner")
    return MutrConfig(backbone=released_backbone(settings, file))
