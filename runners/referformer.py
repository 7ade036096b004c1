"""ReferFormer as a member."""

from __future__ import annotations

import torch

from runners.base import ModelSettings
from runners.checkpoints.loading import CheckpointFile, build_network, read_checkpoint, read_stated_config
from runners.checkpoints.resources import check_backbone, open_tokens
from runners.networks.backbones.table import find_backbone
from runners.networks.parts.released import load_released
from runners.networks.referformer.network import ReferFormer, ReferFormerConfig
from runners.passes.options import ReferringOptions
from runners.referring import ReferringRunner, compile_network, plan_clips, released_backbone
from rvos.errors import CheckpointError
from rvos.settings import load

NAME = "referformer"
_SHORT_SIDE = 360


def build(settings: ModelSettings, *, device: torch.device) -> ReferringRunner:
    """Return the runner of an official file or of our own safetensors.

    Raises:
        CheckpointError: the checkpoint cannot be read safely, or does not fit.
        ConfigError: settings that this network does not have, or an unusable tokeniser folder.
    """
    options = load(ReferringOptions, settings.options, where=settings.runner, part="options")
    file = read_checkpoint(settings.checkpoint, outline=device.type == "meta")
    config = find_config(settings, file)
    tokens = open_tokens(settings, vocabulary=config.text.vocab_size, max_tokens=config.text.max_tokens)
    network = build_network(lambda: ReferFormer(config), file)
    load_released(network, file)
    if settings.compile:
        compile_network(network)
    clips = plan_clips(settings, options, network, short_side=_SHORT_SIDE)
    return ReferringRunner(network, tokens, device, clips=clips, options=options)


def find_config(settings: ModelSettings, file: CheckpointFile) -> ReferFormerConfig:
    """Return the network's sizes: from the file where it states them, else the released ones of its backbone.

    Raises:
        CheckpointError: the file holds another network.
    """
    stated = read_stated_config(file, NAME, ReferFormerConfig)
    if stated is not None:
        check_backbone(settings, stated.backbone_sizes or find_backbone(stated.backbone))
        return stated
    if any(name.startswith(("mti.", "MTA.")) for name in file.state):
        raise CheckpointError(f"{file.path}: holds MUTR; set runner: mutr, or give a ReferFormer file")
    return ReferFormerConfig(backbone=released_backbone(settings, file))
