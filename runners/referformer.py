"""ReferFormer as a member."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runners.base import ModelSettings, Runner, RunnerKind
from runners.referring import ReferringOptions
from rvos.settings import load

if TYPE_CHECKING:
    import torch

_SHORT_SIDE = 360


def build(settings: ModelSettings, *, device: torch.device) -> Runner:
    """Return the runner of an official file or of our own safetensors; see `BuildRunner`."""
    from runners.checkpoints.loading import build_network, read_checkpoint
    from runners.networks.referformer.baseline import build_referformer
    from runners.networks.referformer.checkpoints import find_referformer
    from runners.passes.referring_runner import finish_referring

    options = load(ReferringOptions, settings.options, where=settings.runner, part="options")
    file = read_checkpoint(settings.checkpoint, outline=device.type == "meta")
    config = find_referformer(file, backbone=settings.backbone)
    network = build_network(lambda: build_referformer(config), file)
    return finish_referring(network, file, settings, options, device=device, short_side=_SHORT_SIDE)


RUNNER = RunnerKind("referformer", ReferringOptions, build)
