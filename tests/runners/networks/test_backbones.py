"""Backbones against the reference cases, an independent implementation, and the official key lists."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from runners.networks.backbones.table import BACKBONES, BackboneConfig, build_backbone, find_backbone, level_masks
from runners.networks.backbones.window_order import window_groups
from runners.networks.parts.recognition import infer_backbone, name_backbone
from rvos.errors import ConfigError

SMALL = {
    "resnet": BackboneConfig("resnet", 8, (1, 1, 1, 1), norm="group"),
    "swin": BackboneConfig("swin", 16, (1, 2, 1, 1), (1, 2, 4, 8)),
    "video_swin": BackboneConfig("video_swin", 16, (1, 2, 1, 1), (1, 2, 4, 8)),
    "convnext": BackboneConfig("convnext", 8, (1, 1, 1, 1)),
    "convmae": BackboneConfig("convmae", 32, (1, 1, 2), (2,)),
}


def filled(module: torch.nn.Module) -> torch.nn.Module:
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return module.eval()


@pytest.mark.parametrize("kind", SMALL)
@pytest.mark.parametrize(("height", "width"), [(64, 96), (75, 131)])
def test_levels_have_the_strides_and_channels_that_the_backbone_states(kind: str, height: int, width: int) -> None:
    backbone = build_backbone("small", SMALL[kind])
    levels = backbone(torch.randn(1, 2, 3, height, width))
    rounds_down = kind in ("convnext", "convmae")
    for level, (map_, channels) in enumerate(zip(levels, backbone.channels, strict=True)):
        sizes = [height, width]
        for stride in [4] + [2] * level:
            sizes = [size // stride if rounds_down else -(-size // stride) for size in sizes]
        assert map_.shape == (2, channels, *sizes)


@pytest.mark.parametrize("kind", SMALL)
def test_only_video_swin_mixes_frames(kind: str) -> None:
    backbone = filled(build_backbone("small", SMALL[kind]))
    frames = torch.randn(1, 3, 3, 64, 64)
    with torch.inference_mode():
        together = backbone(frames)
        alone = [torch.cat(parts) for parts in zip(*(backbone(frames[:, t : t + 1]) for t in range(3)), strict=True)]
    close = all(torch.allclose(a, b, atol=1e-4) for a, b in zip(together, alone, strict=True))
    assert close is not backbone.mixes_frames


@pytest.mark.parametrize(("height", "width"), [(256, 288), (262, 310)])
def test_swin_agrees_with_transformers_where_maps_are_larger_than_a_window(height: int, width: int) -> None:
    from transformers import SwinBackbone, SwinConfig

    ours = filled(build_backbone("small", SMALL["swin"]))
    stages = [f"stage{stage}" for stage in (1, 2, 3, 4)]
    config = SwinConfig(image_size=64, embed_dim=16, depths=[1, 2, 1, 1], num_heads=[1, 2, 4, 8], out_features=stages)
    theirs = SwinBackbone(config).eval()
    state = {_transformers_name(name): value for name, value in ours.body.state_dict().items()}
    result = theirs.load_state_dict(_split_qkv(state), strict=False)
    assert not result.unexpected_keys
    # Their whole-network norm is not part of the levels.
    assert all("relative_position_index" in name or "swin.layernorm" in name for name in result.missing_keys)
    images = torch.randn(1, 3, height, width)
    with torch.inference_mode():
        expected = theirs(images).feature_maps
        for found, level in zip(ours(images[:, None]), expected, strict=True):
            assert torch.allclose(found, level, atol=2e-4)


def _transformers_name(name: str) -> str:
    if name.startswith("norm"):
        return f"hidden_states_norms.stage{int(name[4]) + 1}.{name.split('.')[1]}"
    for ours, theirs in (
        ("patch_embed.proj", "embeddings.patch_embeddings.projection"),
        ("patch_embed.norm", "embeddings.norm"),
        ("layers.", "encoder.layers."),
        (".norm1.", ".layernorm_before."),
        (".norm2.", ".layernorm_after."),
        (".attn.proj.", ".attention.o_proj."),
        (".attn.rel", ".attention.relative_position_bias.rel"),
        (".attn.", ".attention."),
    ):
        name = name.replace(ours, theirs)
    name = f"swin.{name}"
    return name


def _split_qkv(state: dict[str, Tensor]) -> dict[str, Tensor]:
    split = {}
    for name, value in state.items():
        if ".qkv." not in name:
            split[name] = value
            continue
        for part, piece in zip(("q_proj", "k_proj", "v_proj"), value.chunk(3), strict=True):
            split[name.replace("qkv", part)] = piece
    return split


@pytest.mark.parametrize(
    ("sizes", "window", "shift"),
    [((1, 14, 21), (1, 7, 7), (0, 3, 3)), ((16, 7, 14), (8, 7, 7), (4, 3, 3)), ((1, 7, 7), (1, 7, 7), (0, 3, 3))],
)
def test_grouped_masks_are_those_of_single_windows(
    sizes: tuple[int, int, int], window: tuple[int, int, int], shift: tuple[int, int, int]
) -> None:
    def segment(place: int, size: int, width: int, step: int) -> int:
        if not step or place < size - width:
            return 0
        return 1 if place < size - step else 2

    counts = [size // width for size, width in zip(sizes, window, strict=True)]
    groups = window_groups(sizes, window, shift)
    assert sorted(torch.cat([members for members, _ in groups]).tolist()) == list(
        range(counts[0] * counts[1] * counts[2])
    )
    for members, mask in groups:
        for index in members.tolist():
            corner = (index // (counts[1] * counts[2]), index // counts[2] % counts[1], index % counts[2])
            labels = [
                tuple(
                    segment(corner[axis] * window[axis] + offset[axis], sizes[axis], window[axis], shift[axis])
                    for axis in range(3)
                )
                for offset in torch.cartesian_prod(*(torch.arange(width) for width in window)).tolist()
            ]
            expected = torch.tensor([[0.0 if one == two else -100.0 for two in labels] for one in labels])
            assert torch.equal(mask, expected)


@pytest.mark.parametrize("name", BACKBONES)
def test_every_backbone_is_recognised_from_its_own_names_and_shapes(name: str) -> None:
    with torch.device("meta"):
        state = build_backbone(name).state_dict()
    found = infer_backbone({f"backbone.0.{key}": value for key, value in state.items()})
    assert found is not None
    assert name_backbone(found) == name


def test_another_spelling_of_a_name_is_understood() -> None:
    assert find_backbone("video-swin-t") is BACKBONES["video_swin_t_p4w7"]


def test_an_unknown_backbone_lists_the_choices() -> None:
    with pytest.raises(ConfigError, match="swin_l_p4w7"):
        find_backbone("swin_xl")


def test_level_masks_take_the_nearest_pixel() -> None:
    mask = torch.zeros(1, 8, 8, dtype=torch.bool)
    mask[:, :, 5:] = True
    (level,) = level_masks(mask, [torch.zeros(1, 1, 4, 4)])
    assert level[0, 0].tolist() == [False, False, False, True]


def test_frozen_moments_do_not_train() -> None:
    assert not any(name.split(".")[-2].startswith("bn") for name, _ in build_backbone("resnet50").named_parameters())
