"""Every released backbone of ReferFormer and MUTR: the whole official key list loads strictly.

Names of ResNet-50 and Video-Swin-T come from the reference lists; those of the others are written out here from the
published naming scheme, never from our own modules.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from reference import read_reference
from referring_helpers import SIZES
from torch import Tensor

from runners.checkpoints.loading import CheckpointFile, match_keys
from runners.networks.backbones.table import BackboneConfig
from runners.networks.referformer.checkpoints import IGNORED_KEYS, load_released
from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.mutr import Mutr, MutrConfig
from runners.networks.referformer.network import ReferFormer
from rvos.errors import CheckpointError
from rvos_fusion.weights.identification import identify

Shapes = dict[str, tuple[int, ...]]
BODY = "backbone.0.body."
RESNETS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
SWINS = {
    "swin_t_p4w7": (96, (2, 2, 6, 2), 3, 2),
    "swin_s_p4w7": (96, (2, 2, 18, 2), 3, 2),
    "swin_b_p4w7": (128, (2, 2, 18, 2), 4, 2),
    "swin_l_p4w7": (192, (2, 2, 18, 2), 6, 2),
    "video_swin_t_p4w7": (96, (2, 2, 6, 2), 3, 3),
    "video_swin_s_p4w7": (96, (2, 2, 18, 2), 3, 3),
    "video_swin_b_p4w7": (128, (2, 2, 18, 2), 4, 3),
}
REFERFORMER = (*RESNETS, *SWINS)
MUTR = (
    *RESNETS,
    "swin_l_p4w7",
    *(name for name in SWINS if name.startswith("video")),
    "convnext_large",
    "convmae_base",
)


def layer(name: str, *shape: int, bias: bool = True) -> Shapes:
    """Weight and, as long as its first axis, bias."""
    return {f"{name}.weight": shape} | ({f"{name}.bias": shape[:1]} if bias else {})


def resnet_keys(blocks: tuple[int, ...]) -> Shapes:
    def norm(name: str, channels: int) -> Shapes:
        return {f"{name}.{part}": (channels,) for part in ("weight", "bias", "running_mean", "running_var")}

    keys = layer(f"{BODY}conv1", 64, 3, 7, 7, bias=False) | norm(f"{BODY}bn1", 64)
    inputs = 64
    for stage, count in enumerate(blocks):
        width = 64 * 2**stage
        for index in range(count):
            at = f"{BODY}layer{stage + 1}.{index}."
            for part, shape in (
                ("1", (width, inputs, 1, 1)),
                ("2", (width, width, 3, 3)),
                ("3", (4 * width, width, 1, 1)),
            ):
                keys |= layer(f"{at}conv{part}", *shape, bias=False) | norm(f"{at}bn{part}", shape[0])
            if index == 0:
                keys |= layer(f"{at}downsample.0", 4 * width, inputs, 1, 1, bias=False)
                keys |= norm(f"{at}downsample.1", 4 * width)
            inputs = 4 * width
    return keys


def swin_keys(width: int, depths: tuple[int, ...], heads: int, axes: int) -> Shapes:
    kernel = (4, 4) if axes == 2 else (1, 4, 4)
    table, tokens = (169, 49) if axes == 2 else (2535, 392)
    keys = layer(f"{BODY}patch_embed.proj", width, 3, *kernel) | layer(f"{BODY}patch_embed.norm", width)
    for stage, depth in enumerate(depths):
        channels = width * 2**stage
        for index in range(depth):
            at = f"{BODY}layers.{stage}.blocks.{index}."
            keys |= layer(f"{at}norm1", channels) | layer(f"{at}norm2", channels)
            keys[f"{at}attn.relative_position_bias_table"] = (table, heads * 2**stage)
            keys[f"{at}attn.relative_position_index"] = (tokens, tokens)
            keys |= layer(f"{at}attn.qkv", 3 * channels, channels) | layer(f"{at}attn.proj", channels, channels)
            keys |= layer(f"{at}mlp.fc1", 4 * channels, channels) | layer(f"{at}mlp.fc2", channels, 4 * channels)
        if stage < 3:
            at = f"{BODY}layers.{stage}.downsample" if axes == 2 else f"{BODY}downsamples.{stage}"
            keys |= layer(f"{at}.norm", 4 * channels)
            keys |= layer(f"{at}.reduction", 2 * channels, 4 * channels, bias=False)
        if axes == 2:
            keys |= layer(f"{BODY}norm{stage}", channels)
    return keys


def listed_keys(case: str, prefix: str = "") -> Shapes:
    keys = read_reference(case).keys["keys"]
    return {name: tuple(shape) for name, shape, _ in keys if name.startswith(prefix)}


def backbone_keys(name: str) -> tuple[Shapes, tuple[int, ...]]:
    """Entries of a backbone and the channels of its levels."""
    if name in RESNETS:
        return resnet_keys(RESNETS[name]), (256, 512, 1024, 2048)
    if name in SWINS:
        width = SWINS[name][0]
        return swin_keys(*SWINS[name]), (width, 2 * width, 4 * width, 8 * width)
    channels = (192, 384, 768, 1536) if name == "convnext_large" else (256, 384, 768, 768)
    return listed_keys(f"common/{name}_backbone"), channels


def whole_network(network: str, backbone: str) -> Mapping[str, Tensor]:
    """An official state dict without values: the reference list with another backbone."""
    case = "mutr/resnet50_t3_padded" if network == "mutr" else "referformer/resnet50_t4"
    keys = {name: shape for name, shape in listed_keys(case).items() if not name.startswith("backbone.")}
    body, channels = backbone_keys(backbone)
    for index, inputs in enumerate((*channels[1:], channels[-1])):
        name = f"input_proj.{index}.0.weight"
        keys[name] = (keys[name][0], inputs, *keys[name][2:])
    keys["pixel_decoder.adapter_1.weight"] = (256, channels[0], 1, 1)
    extra: Shapes = {"text_encoder.embeddings.position_ids": (1, 514), "backbone.total_params": (1,)}
    return {name: torch.empty(shape, device="meta") for name, shape in (keys | body | extra).items()}


@pytest.mark.parametrize("name", ["resnet50", "video_swin_t_p4w7"])
def test_the_naming_scheme_gives_the_reference_list(name: str) -> None:
    case = "referformer/resnet50_t4" if name == "resnet50" else "referformer/video_swin_t_t3_padded_batch2"
    assert backbone_keys(name)[0] == listed_keys(case, "backbone.")


@pytest.mark.parametrize(
    ("network", "backbone"),
    [("referformer", name) for name in REFERFORMER] + [("mutr", name) for name in MUTR],
)
def test_every_key_of_a_released_file_has_its_place(network: str, backbone: str) -> None:
    state = whole_network(network, backbone)
    with torch.device("meta"):
        ours = (
            Mutr(MutrConfig(backbone=backbone))
            if network == "mutr"
            else ReferFormer(ReferFormerConfig(backbone=backbone))
        )
    _, report = match_keys(ours, state, ignored=IGNORED_KEYS)
    assert (report.missing, report.unexpected, report.mismatched, report.renamed) == ((), (), (), {})
    assert all(name.endswith(("relative_position_index", "position_ids", "total_params")) for name in report.ignored)
    found = identify(CheckpointFile(Path("official.pth"), dict(state)))
    assert found is not None
    assert (found.network, found.backbone) == (network, backbone)
    assert found.report.is_complete


def test_window_indices_of_another_network_are_refused() -> None:
    config = ReferFormerConfig(
        **{**SIZES, "backbone_sizes": BackboneConfig("swin", 16, (1, 1, 1, 1), (1, 2, 4, 8))},
    )
    network = ReferFormer(config)
    name = "backbone.0.body.layers.0.blocks.0.attn.relative_position_index"
    index = network.get_buffer(name)
    good = CheckpointFile(Path("good.pth"), network.state_dict() | {name: index})
    assert load_released(network, good).ignored == (name,)
    bad = CheckpointFile(Path("bad.pth"), network.state_dict() | {name: index.flip(0)})
    with pytest.raises(CheckpointError, match="relative_position_index is not that of a 7x7 window"):
        load_released(network, bad)
