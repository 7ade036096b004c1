"""Which backbone a checkpoint of ReferFormer, MUTR or SOC holds, by names and shapes of its entries."""

from __future__ import annotations

import re
from collections.abc import Mapping

from torch import Tensor

from runners.networks.backbones.table import BACKBONES, BackboneConfig

_BODY = "backbone.0.body."


def count_children(state: Mapping[str, Tensor], prefix: str) -> int:
    """Return how many numbered children a container has, `prefix0.`, `prefix1.`, ...

    Numbers that are left out do not count: a single key may not claim a million layers.
    """
    pattern = re.compile(re.escape(prefix) + r"(\d+)\.")
    return len({match[1] for name in state if (match := pattern.match(name))})


def infer_backbone(state: Mapping[str, Tensor], prefix: str = _BODY) -> BackboneConfig | None:
    """Return the sizes of the backbone under `prefix`, or None where there is none of ours.

    Stochastic depth leaves no trace in a checkpoint and is 0 here.
    """
    if f"{prefix}conv1.weight" in state:
        depths = tuple(count_children(state, f"{prefix}layer{stage}.") for stage in (1, 2, 3, 4))
        frozen = f"{prefix}bn1.running_mean" in state
        return _config("resnet", state[f"{prefix}conv1.weight"], depths, norm="frozen" if frozen else "group")
    if f"{prefix}stem.0.weight" in state:
        depths = tuple(count_children(state, f"{prefix}stages.{stage}.blocks.") for stage in range(4))
        return _config("convnext", state[f"{prefix}stem.0.weight"], depths)
    if f"{prefix}patch_embed1.proj.weight" in state:
        depths = tuple(count_children(state, f"{prefix}blocks{stage}.") for stage in (1, 2, 3))
        # Its 12 heads leave no trace in shapes.
        return _config("convmae", state[f"{prefix}patch_embed1.proj.weight"], depths, (12,))
    if f"{prefix}patch_embed.proj.weight" in state:
        return _infer_swin(state, prefix)
    return None


def _infer_swin(state: Mapping[str, Tensor], prefix: str) -> BackboneConfig | None:
    kernel = state[f"{prefix}patch_embed.proj.weight"]
    depths = tuple(count_children(state, f"{prefix}layers.{stage}.blocks.") for stage in range(4))
    tables = [f"{prefix}layers.{stage}.blocks.0.attn.relative_position_bias_table" for stage in range(4)]
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
    for name, known in BACKBONES.items():
        if (known.kind, known.width, known.depths, known.heads, known.norm) == (
            config.kind,
            config.width,
            config.depths,
            config.heads,
            config.norm,
        ):
            return name
    return None
