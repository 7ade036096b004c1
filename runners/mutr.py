"""MUTR as a member.

Its scores are the same in every frame, so the official key frame is the first one; option `key_frame: confidence`
takes the frame with the surest mask instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from runners.base import ModelSettings, Runner, RunnerKind
from runners.referring import ReferringOptions
from rvos.errors import ConfigError
from rvos.settings import load

if TYPE_CHECKING:
    import torch

_SHORT_SIDE = 432


@dataclass(frozen=True, slots=True)
class MutrOptions(ReferringOptions):
    """MUTR's own settings in a recipe.

    Args:
        eval_layer: heads at evaluation; -1 is the consistent choice, 0 the released behaviour; None: as the file says.
    """

    eval_layer: int | None = None

    def __post_init__(self) -> None:
        if self.centre_only:
            raise ConfigError("centre_only: MUTR has no such protocol; leave it out, or take soc or referformer")


def build(settings: ModelSettings, *, device: torch.device) -> Runner:
    """Return the runner of an official file or of our own safetensors; see `BuildRunner`."""
    from runners.checkpoints.loading import build_network, read_checkpoint
    from runners.networks.referformer.checkpoints import find_mutr
    from runners.networks.referformer.mutr import Mutr
    from runners.passes.referring_runner import finish_referring

    file = read_checkpoint(settings.checkpoint, outline=device.type == "meta")
    config = find_mutr(file, backbone=settings.backbone)
    options = load(MutrOptions, settings.options, where=settings.runner, part="options")
    eval_layer = config.eval_layer if options.eval_layer is None else options.eval_layer
    if not -config.decoder_layers <= eval_layer < config.decoder_layers:
        raise ConfigError(f"mutr: eval_layer {eval_layer}; the network has {config.decoder_layers} decoder layers")
    network = build_network(lambda: Mutr(replace(config, eval_layer=eval_layer)), file)
    return finish_referring(network, file, settings, options, device=device, short_side=_SHORT_SIDE)


RUNNER = RunnerKind("mutr", MutrOptions, build)
