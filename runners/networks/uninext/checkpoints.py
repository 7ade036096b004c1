"""From a checkpoint file to a network: which keys the referring path reads, and under which names."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor, nn

from runners.checkpoints.loading import CheckpointFile, LoadReport, load_strict, read_stated_config
from runners.networks.uninext.config import RELEASED, ConvNextSizes, ResNetSizes, UninextConfig
from rvos.errors import ConfigError

_BACKBONE = r"^(detr\.detr\.backbone\.0\.backbone)\."
_RELEASED_ASSOCIATION = 2
_TIED = re.compile(r"^detr\.detr\.transformer\.decoder\.(class_embed|bbox_embed)\.")


def unread_keys(config: UninextConfig) -> tuple[str, ...]:
    """Return patterns of the keys that the referring path never reads. Source: uninext.md, section 12."""
    earlier = "|".join(str(index) for index in range(config.decoder_layers - 1)) or "none"
    return (
        r"^detr\.detr\.ref_backbone\.",
        r"^detr\.sot_fuser\.",
        r"^detr\.adjust_layer\.",
        r"^detr\.reid_embed_head\.",
        r"^detr\.resizer\.",
        r"^detr\.detr\.transformer\.resizer\.",
        rf"^detr\.detr\.(transformer\.decoder\.)?class_embed\.({earlier})\.",
        rf"^detr\.detr\.iou_head\.({earlier})\.",
        r"^criterion\.",
        r"\.embeddings\.position_ids$",
    )


def backbone_renames(config: UninextConfig) -> list[tuple[str, str]]:
    """Return how the released backbone names become ours; only the ResNet's differ."""
    if not isinstance(config.backbone, ResNetSizes):
        return []
    # Their stem is stage 1, so stage S is layer S - 1 here.
    stages = [
        (_BACKBONE + rf"res{stage}\.", rf"\1.layer{stage - 1}.") for stage in range(2, len(config.backbone.blocks) + 2)
    ]
    return [
        (_BACKBONE + r"stem\.", r"\1."),
        *stages,
        # The norm is a child of its convolution there, so the longer name must be tried first.
        (_BACKBONE + r"(.*)shortcut\.norm\.", r"\1.\2downsample.1."),
        (_BACKBONE + r"(.*)shortcut\.", r"\1.\2downsample.0."),
        (_BACKBONE + r"(.*)conv(\d)\.norm\.", r"\1.\2bn\3."),
    ]


def recognise_backbone(state: Mapping[str, Tensor]) -> str | None:
    """Return the name in `RELEASED` whose backbone a released state dict holds; None: none of them."""
    prefix = "detr.detr.backbone.0.backbone."
    if f"{prefix}stem.conv1.weight" in state:
        return "resnet50"
    if f"{prefix}patch_embed.proj.weight" in state:
        return "vit_huge"
    stem = state.get(f"{prefix}downsample_layers.0.0.weight")
    for name, sizes in RELEASED.items():
        if isinstance(sizes, ConvNextSizes) and stem is not None and stem.shape[:1] == sizes.widths[:1]:
            return name
    return None


def find_config(file: CheckpointFile, *, backbone: str | None) -> UninextConfig:
    """Return the sizes that a file states, else those of its backbone; `backbone`: what the recipe names, or None.

    Raises:
        CheckpointError: the file holds another network.
        ConfigError: an unknown backbone, or another one than the file's.
    """
    stated = read_stated_config(file, "uninext", UninextConfig)
    named = backbone or (recognise_backbone(file.state) if stated is None else None)
    if named not in RELEASED and (stated is None or named is not None):
        raise ConfigError(f"uninext: backbone {named!r} is unknown; choose one of {', '.join(RELEASED)}")
    if stated is None:
        linkable = any(name.startswith("detr.reid_embed_head.") for name in file.state)
        layers = _RELEASED_ASSOCIATION if linkable else 0
        return UninextConfig(backbone=RELEASED[str(named)], association_layers=layers)
    if named is not None and RELEASED[named] != stated.backbone:
        raise ConfigError(
            f"{file.path}: its backbone is {stated.backbone}, not {named}; correct `backbone` or leave it out"
        )
    return stated


def untie(file: CheckpointFile) -> tuple[CheckpointFile, tuple[str, ...]]:
    """Return the file with one spelling of each tied entry, officially the shorter, and the copies left out."""
    state, copies = {}, []
    for name, value in file.state.items():
        short = _TIED.sub(r"detr.detr.\1.", name)
        if short != name and short in file.state:
            copies.append(name)
        else:
            state[short] = value
    return replace(file, state=state), tuple(copies)


def load_network(network: nn.Module, config: UninextConfig, file: CheckpointFile) -> LoadReport:
    """Load every key that the network has, the others reported as ignored; CheckpointError: no fit, or not finite."""
    untied, copies = untie(file)
    report = load_strict(network, untied, renames=backbone_renames(config), ignored=unread_keys(config))
    return replace(report, ignored=report.ignored + copies)
