"""What SOC is built from and what its parts hand to each other."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from torch import Tensor

from runners.networks.attention.deformable_transformer import DecoderStates, DeformableConfig
from runners.networks.backbones.table import BACKBONES, BackboneConfig
from runners.networks.text.text_encoder import TextConfig
from rvos.errors import ConfigError
from rvos.settings import Chance, Count, Size

# Of the projections; the pixel decoder has 8.
PROJECTION_GROUPS = 32
Clustering = Literal["both", "encoder", "decoder", "none", "kmeans", "convolution", "average"]
"""How the queries of all frames become video queries; `runners.networks.soc.ablations` has all but the official one."""
Fusion = Literal["both", "l2v", "v2l", "none"]
"""Which of vision and language reads the other: `l2v` the pixels the words, `v2l` the words the pixels."""


@dataclass(frozen=True, slots=True)
class SOCConfig:
    """Sizes of the network; the defaults are those of the released Video-Swin-T models.

    Args:
        channels: d, divisible by 32 and by the heads.
        queries: of each frame and of the video.
        classes: K; 1 in all models but one.
        mask_channels: of the mask features; `dynamic_channels`: of the predicted convolutions.
        pyramid_widths: of the five pixel-decoder convolutions, divisible by 8.
        voc_encoder_layers, voc_decoder_layers: of the clip-level transformer.
        trajectories: the frame queries carry their own boxes over time into the clustering; no official network does.
        clustering: `both` is the official clip-level transformer; `encoder` and `decoder` keep a half of it; `kmeans`,
            `convolution` (over time) and `average` replace it; with `none` frames stay on their own.
        fusion: `both` is official; `l2v` alone leaves the sentence of the contrastive loss as it was read, `v2l` alone
            the maps; `none` both.
    """

    backbone: BackboneConfig = field(default_factory=lambda: BACKBONES["video_swin_t_p4w7"])
    text: TextConfig = field(default_factory=TextConfig)
    channels: Size = 256
    heads: Count = 8
    queries: Size = 20
    classes: Size = 1
    encoder_layers: Count = 3
    decoder_layers: Count = 3
    feedforward: Size = 2048
    points: Count = 4
    dropout: Chance = 0.1
    voc_encoder_layers: Count = 3
    voc_decoder_layers: Count = 3
    mask_channels: Size = 8
    dynamic_channels: Size = 8
    pyramid_widths: tuple[Size, ...] = (256, 128, 64, 32, 16)
    trajectories: bool = False
    clustering: Clustering = "both"
    fusion: Fusion = "both"

    def __post_init__(self) -> None:
        if self.channels % PROJECTION_GROUPS or self.channels % self.heads:
            raise ConfigError(
                f"SOC: {self.channels} channels and {self.heads} heads; "
                f"channels must be divisible by {PROJECTION_GROUPS} and by the heads"
            )
        if len(self.pyramid_widths) != 5 or any(width % 8 for width in self.pyramid_widths):
            raise ConfigError(f"SOC: pyramid widths {self.pyramid_widths}; give five, divisible by 8")

    def deformable(self) -> DeformableConfig:
        """Return the sizes of the deformable transformer."""
        layers = (self.encoder_layers, self.decoder_layers)
        return DeformableConfig(
            self.channels, self.heads, *layers, self.feedforward, points=self.points, dropout=self.dropout
        )


@dataclass(frozen=True, slots=True, eq=False)
class VisualFeatures:
    """What the network knows of B clips of T frames before it reads an expression; N = B * T, clip-major.

    Args:
        clips: B.
        maps: four projected maps (N, C, h_l, w_l) at strides 8 to 64.
        masks: bool (N, h_l, w_l), true = padding.
        positions: sine encodings (N or 1, C, h_l, w_l).
        finest: the pixel decoder's share of the level at stride 4, (N, c, h, w).
        sizes: (B, 2) unpadded (height, width) of the network input in pixels.
    """

    clips: int
    maps: tuple[Tensor, ...]
    masks: tuple[Tensor, ...]
    positions: tuple[Tensor, ...]
    finest: Tensor
    sizes: Tensor

    @property
    def frames(self) -> int:
        """T."""
        return len(self.finest) // self.clips


@dataclass(frozen=True, slots=True, eq=False)
class QueryStates:
    """Decoder states of all layers, video queries, and the mask features they are applied to.

    Args:
        hidden: one (B, T, Q, C) a layer, the video queries added.
        clip_queries: one (B, Q, C) a layer; without clustering the frame queries, (B, T, Q, C).
        decoder: states of single frames, N = B * T.
        mask_features: (N, c, h, w) at stride 4.
    """

    hidden: tuple[Tensor, ...]
    clip_queries: tuple[Tensor, ...]
    decoder: DecoderStates
    mask_features: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class LayerOutput:
    """Predictions of one decoder layer.

    Args:
        class_logits: (B, T, Q, K).
        boxes: (B, T, Q, 4) as (cx, cy, w, h), [0, 1] over the unpadded input.
        mask_logits: (B, T, Q, h, w) at stride 4 of the padded input.
        clip_queries: (B, Q, C) video queries; without clustering the frame queries, (B, T, Q, C).
    """

    class_logits: Tensor
    boxes: Tensor
    mask_logits: Tensor
    clip_queries: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class SOCOutputs:
    """Predictions of all decoder layers, first to last, and the vision-aware sentence g (B, C)."""

    layers: tuple[LayerOutput, ...]
    sentence: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class ChosenQuery:
    """A clip's referred query slot: its index, scores (T,) of class 0, and mask logits (T, h, w) at stride 4."""

    index: int
    scores: Tensor
    mask_logits: Tensor
