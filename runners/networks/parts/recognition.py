"""Which backbone a checkpoint of ReferFormer, MUTR or SOC holds, by names and shapes of its entries."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from torch import Tensor

from runners.networks.backbones.table import BACKBONES, BackboneConfig, find_backbone
from rvos.errors import ConfigError

_BODY = "backbone.0.body."


def count_children(state: Mapping[str, Tensor], prefix: str) -> int:
    """Return how many numbered children (`prefix0.`, ...) a container has; a single key claims no million layers."""
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    return len({match[1] for name in state if (match := pattern.match(name))})


def infer_backbone(state: Mapping[str, Tensor]) -> BackboneConfig | None:
    """Return the backbone's sizes, or None where it is none of ours; drop_path leaves no trace and is 0."""
    if f"{_BODY}conv1.weight" in state:
        depths = tuple(count_children(state, f"{_BODY}layer{stage}.") for stage in (1, 2, 3, 4))
        frozen = f"{_BODY}bn1.running_mean" in state
        return _config("resnet", state[f"{_BODY}conv1.weight"], depths, norm="frozen" if frozen else "group")
    if f"{_BODY}stem.0.weight" in state:
        depths = tuple(count_children(state, f"{_BODY}stages.{stage}.blocks.") for stage in range(4))
        return _config("convnext", state[f"{_BODY}stem.0.weight"], depths)
    if f"{_BODY}patch_embed1.proj.weight" in state:
        depths = tuple(count_children(state, f"{_BODY}blocks{stage}.") for stage in (1, 2, 3))
        # Its 12 heads leave no trace in shapes.
        return _config("convmae", state[f"{_BODY}patch_embed1.proj.weight"], depths, (12,))
    if f"{_BODY}patch_embed.proj.weight" in state:
        return _infer_swin(state)
    return None


def _infer_swin(state: Mapping[str, Tensor]) -> BackboneConfig | None:
    kernel = state[f"{_BODY}patch_embed.proj.weight"]
    depths = tuple(count_children(state, f"{_BODY}layers.{stage}.blocks.") for stage in range(4))
    tables = [f"{_BODY}layers.{stage}.blocks.0.attn.relative_position_bias_table" for stage in range(4)]
    if not all(name in state for name in tables):
        return None
    heads = tuple(state[name].shape[-1] if state[name].ndim else 0 for name in tables)
    return _config("video_swin" if kernel.ndim == 5 else "swin", kernel, depths, heads)


def _config(
    kind: str, kernel: Tensor, depths: tuple[int, ...], heads: tuple[int, ...] = (), norm: str = "frozen"
) -> BackboneConfig | None:
    if min(depths) < 1 or not kernel.ndim or not kernel.shape[0]:
        return None
    return BackboneConfig(kind, int(kernel.shape[0]), depths, heads, norm=norm)  # type: ignore[arg-type]


def name_backbone(config: BackboneConfig) -> str | None:
    """Return the name of a released backbone with these sizes, or None."""

    def sizes(one: BackboneConfig) -> BackboneConfig:
        return replace(one, drop_path=0.0)

    return next((name for name, known in BACKBONES.items() if sizes(known) == sizes(config)), None)


def check_backbone(name: str | None, found: BackboneConfig, *, path: Path) -> None:
    """Raise ConfigError where `name` is unknown, or not the backbone in the checkpoint `path`; None is all right."""
    if name is None:
        return
    wanted = find_backbone(name)
    if (wanted.kind, wanted.width, wanted.depths) != (found.kind, found.width, found.depths):
        raise ConfigError(
            f"{path}: its backbone is {found.kind} of width {found.width} and depths {found.depths}, "
            f"not {name}; correct `backbone` or leave it out"
        )
