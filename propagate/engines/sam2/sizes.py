"""The four sizes of SAM 2 and 2.1, and a small one of our own. Source: docs/specs/sam2.md, section 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from transformers import Sam2VideoConfig

from rvos.errors import ConfigError

IMAGE_SIDE = 1024
_STRIDES = (4, 8, 16)
_COARSEST = 32


@dataclass(frozen=True, slots=True)
class Sam2Size:
    """The trunk of one size; everything after it is the same in all official ones.

    Args:
        widths, heads, blocks, windows: of the four stages.
        global_blocks: blocks that attend to the whole image, counted through all stages.
        background: side of the learned position grid.
        feed_forward: hidden width of memory attention and decoder.
        memory_layers: of the memory attention.
    """

    widths: tuple[int, int, int, int]
    heads: tuple[int, int, int, int]
    blocks: tuple[int, int, int, int]
    windows: tuple[int, int, int, int]
    global_blocks: tuple[int, ...]
    background: int = 7
    feed_forward: int = 2048
    memory_layers: int = 4


_TINY_WIDTHS, _TINY_HEADS, _TINY_WINDOWS = (96, 192, 384, 768), (1, 2, 4, 8), (8, 4, 14, 7)
SIZES: Mapping[str, Sam2Size] = {
    "hiera-tiny": Sam2Size(_TINY_WIDTHS, _TINY_HEADS, (1, 2, 7, 2), _TINY_WINDOWS, (5, 7, 9)),
    "hiera-small": Sam2Size(_TINY_WIDTHS, _TINY_HEADS, (1, 2, 11, 2), _TINY_WINDOWS, (7, 10, 13)),
    "hiera-base-plus": Sam2Size((112, 224, 448, 896), (2, 4, 8, 16), (2, 3, 16, 3), _TINY_WINDOWS, (12, 16, 20), 14),
    "hiera-large": Sam2Size((144, 288, 576, 1152), (2, 4, 8, 16), (2, 6, 36, 4), (8, 4, 16, 8), (23, 33, 43)),
    # Not an official one: for tests, and for a tracker that can be trained on a CPU.
    "mini": Sam2Size((16, 32, 64, 128), (1, 1, 2, 2), (1, 1, 2, 1), (4, 4, 8, 4), (3,), 7, 256, 2),
}
VERSIONS = ("sam2", "sam2.1")


def find_config(network: str, side: int = IMAGE_SIDE) -> Sam2VideoConfig:
    """Return a network's configuration at `side` input pixels. Raises ConfigError: none such, or off its grid."""
    version, _, name = network.partition("-")
    if version not in VERSIONS or name not in SIZES:
        known = ", ".join(f"{version}-{name}" for version in VERSIONS for name in SIZES)
        raise ConfigError(f"network {network!r} is unknown; choose one of {known}")
    if side < 2 * _COARSEST or side % _COARSEST:
        raise ConfigError(f"engine {network}: image_size {side}; give a multiple of {_COARSEST} from {2 * _COARSEST}")
    size, is_newer = SIZES[name], version == "sam2.1"
    cells = side // _STRIDES[-1]
    backbone = {
        "model_type": "sam2_hiera_det_model",
        "hidden_size": size.widths[0],
        "num_attention_heads": size.heads[0],
        "image_size": [side, side],
        "blocks_per_stage": list(size.blocks),
        "embed_dim_per_stage": list(size.widths),
        "num_attention_heads_per_stage": list(size.heads),
        "window_size_per_stage": list(size.windows),
        "global_attention_blocks": list(size.global_blocks),
        "window_positional_embedding_background_size": [size.background, size.background],
    }
    vision = {
        "model_type": "sam2_vision_model",
        "backbone_config": backbone,
        "backbone_channel_list": list(size.widths[::-1]),
        "backbone_feature_sizes": [[side // stride, side // stride] for stride in _STRIDES],
    }
    return Sam2VideoConfig(
        vision_config=vision,
        prompt_encoder_config={"image_size": side},
        mask_decoder_config={"mlp_dim": size.feed_forward},
        image_size=side,
        memory_attention_rope_feat_sizes=[cells, cells],
        memory_attention_feed_forward_hidden_size=size.feed_forward,
        memory_attention_num_layers=size.memory_layers,
        enable_occlusion_spatial_embedding=is_newer,
        enable_temporal_pos_encoding_for_object_pointers=is_newer,
    )
