"""Sizes of SAM 3: the official one, and a small one of our own.

Source: docs/specs/sam3.md, sections 1 and 2.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from deaot_toolkit.errors import NetworkConfigError
from transformers import Sam3Config, Sam3TrackerVideoConfig

PATCH = 14
_LEAST_CELLS = 4


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """One size of the network; the defaults are the official one.

    Args:
        width, depth, heads, trunk_hidden: of the vision transformer, with the width of its perceptrons.
        window: side of its attention windows, in patches; positions are scaled by it.
        global_blocks: blocks that attend to the whole image.
        grid: side of the stored positions, in patches; larger inputs repeat them.
        side: of the square input that the network was trained on, in pixels.
        text_width, text_depth, text_heads: of the text encoder; its perceptrons are four times as wide.
        vocabulary: entries of the text encoder's table.
        channels: of all maps behind the trunk, a multiple of 64.
        hidden: width of the perceptrons behind the trunk.
        memory_depth: layers of the tracker's memory attention.
        geometry_depth, fusion_depth, decoder_depth: layers of the detector's parts.
        queries: most instances of a phrase in a frame.
    """

    width: int = 1024
    depth: int = 32
    heads: int = 16
    trunk_hidden: int = 4736
    window: int = 24
    global_blocks: tuple[int, ...] = (7, 15, 23, 31)
    grid: int = 24
    side: int = 1008
    text_width: int = 1024
    text_depth: int = 24
    text_heads: int = 16
    vocabulary: int = 49_408
    channels: int = 256
    hidden: int = 2048
    memory_depth: int = 4
    geometry_depth: int = 3
    fusion_depth: int = 6
    decoder_depth: int = 6
    queries: int = 200

    def vision(self, side: int) -> dict[str, object]:
        """Return what `transformers` wants to know of the trunk and its necks, for an input of `side` pixels.

        Raises:
            NetworkConfigError: the patches do not fit the input.
        """
        if side < _LEAST_CELLS * PATCH or side % PATCH:
            raise NetworkConfigError(
                f"image_size {side}; give a multiple of {PATCH} from {_LEAST_CELLS * PATCH}, best one of "
                f"{self.window * PATCH}"
            )
        backbone = {
            "model_type": "sam3_vit_model",
            "hidden_size": self.width,
            "num_hidden_layers": self.depth,
            "num_attention_heads": self.heads,
            "intermediate_size": self.trunk_hidden,
            "window_size": self.window,
            "global_attn_indexes": list(self.global_blocks),
            "pretrain_image_size": self.grid * PATCH,
            "image_size": side,
            # The library has 1e-6.
            "layer_norm_eps": 1e-5,
        }
        return {"model_type": "sam3_vision_model", "backbone_config": backbone, "fpn_hidden_size": self.channels}

    def tracker(self, side: int) -> Sam3TrackerVideoConfig:
        """Return the tracker's configuration; raises as `vision` does."""
        return Sam3TrackerVideoConfig(
            vision_config=self.vision(side),
            prompt_encoder_config={"hidden_size": self.channels},
            mask_decoder_config={
                "hidden_size": self.channels,
                "iou_head_hidden_dim": self.channels,
                "mlp_dim": self.hidden,
            },
            memory_attention_hidden_size=self.channels,
            memory_encoder_hidden_size=self.channels,
            mask_downsampler_embed_dim=self.channels,
            memory_fuser_embed_dim=self.channels,
            memory_fuser_intermediate_dim=4 * self.channels,
            memory_attention_feed_forward_hidden_size=self.hidden,
            memory_attention_num_layers=self.memory_depth,
            image_size=side,
        )

    def detector(self, side: int) -> Sam3Config:
        """Return the detector's configuration; raises as `vision` does."""
        text = {
            "model_type": "clip_text_model",
            "vocab_size": self.vocabulary,
            "hidden_size": self.text_width,
            "intermediate_size": 4 * self.text_width,
            "projection_dim": 512,
            "num_hidden_layers": self.text_depth,
            "num_attention_heads": self.text_heads,
            "max_position_embeddings": 32,
            "hidden_act": "gelu",
            "bos_token_id": self.vocabulary - 2,
            "eos_token_id": self.vocabulary - 1,
        }
        widths = {"hidden_size": self.channels, "intermediate_size": self.hidden}
        return Sam3Config(
            vision_config=self.vision(side),
            text_config=text,
            geometry_encoder_config={"num_layers": self.geometry_depth, **widths},
            detr_encoder_config={"num_layers": self.fusion_depth, **widths},
            detr_decoder_config={"num_layers": self.decoder_depth, "num_queries": self.queries, **widths},
            mask_decoder_config={"hidden_size": self.channels},
        )


CONFIGS: Mapping[str, NetworkConfig] = {
    "sam3": NetworkConfig(),
    # Not an official one: for tests, and for stand-ins that can be trained on a CPU.
    "sam3-mini": NetworkConfig(
        width=32,
        depth=3,
        heads=2,
        trunk_hidden=64,
        window=4,
        global_blocks=(2,),
        grid=4,
        text_width=32,
        text_depth=2,
        text_heads=2,
        # Bytes alone, without a pair.
        vocabulary=514,
        hidden=128,
        memory_depth=2,
        geometry_depth=1,
        fusion_depth=2,
        decoder_depth=2,
        queries=20,
    ),
    # The demo's, trained on synthetic videos.
    "small-sam3": NetworkConfig(
        width=96,
        depth=4,
        heads=4,
        trunk_hidden=192,
        window=6,
        global_blocks=(1, 3),
        grid=6,
        side=168,
        text_width=64,
        text_depth=2,
        text_heads=4,
        # Bytes and the pairs of the synthetic sentences.
        vocabulary=791,
        channels=64,
        hidden=128,
        memory_depth=2,
        geometry_depth=1,
        fusion_depth=2,
        decoder_depth=2,
        queries=24,
    ),
}


def find_config(name: str) -> NetworkConfig:
    """Return the size of a network by its name.

    Raises:
        NetworkConfigError: no such network.
    """
    if name not in CONFIGS:
        raise NetworkConfigError(f"network {name!r} is unknown; choose one of {', '.join(CONFIGS)}")
    return CONFIGS[name]
