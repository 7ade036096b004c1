"""Sizes of ReferFormer and its ablations. Source: referformer.md, sections 9 and 12."""

from __future__ import annotations

from dataclasses import dataclass, field

from runners.networks.attention.deformable_transformer import DeformableConfig
from runners.networks.backbones.table import BackboneConfig
from runners.networks.text.text_encoder import TextConfig
from rvos.settings import Chance, Count, Size


@dataclass(frozen=True, slots=True)
class ReferFormerConfig:
    """Sizes of the network; the defaults are those of the released ones.

    Args:
        backbone: name in `runners.networks.backbones.table`; `backbone_sizes`: other sizes than the name's.
        hidden_dim: width, a multiple of 32.
        queries: object candidates of each frame.
        mask_channels: of the dynamic convolutions.
        classes: logits of a query.
        conditional_queries: queries start with the sentence, not blank.
        relative_coordinates: the dynamic convolutions see how far a pixel is from the query's box.
        pyramid_fusion: the pyramid mixes frames and reads the words at every stride. Without one of these three the
            network is an ablation, see `runners.networks.referformer.ablations`.
        concatenated: the paper's baseline, see `runners.networks.referformer.baseline`: words stand beside the pixels
            in a plain encoder, one mask is drawn, and there are no queries that the settings of queries could change.
    """

    backbone: str = "video_swin_t_p4w7"
    backbone_sizes: BackboneConfig | None = None
    text: TextConfig = field(default_factory=TextConfig)
    hidden_dim: Size = 256
    heads: Count = 8
    encoder_layers: Count = 4
    decoder_layers: Count = 4
    feedforward: Size = 2048
    queries: Size = 5
    points: Count = 4
    mask_dim: Size = 256
    mask_channels: Size = 8
    controller_layers: Count = 3
    classes: Size = 1
    dropout: Chance = 0.1
    conditional_queries: bool = True
    relative_coordinates: bool = True
    pyramid_fusion: bool = True
    concatenated: bool = False

    def transformer(self) -> DeformableConfig:
        """Return the sizes of the deformable transformer."""
        layers = (self.encoder_layers, self.decoder_layers)
        return DeformableConfig(
            self.hidden_dim, self.heads, *layers, self.feedforward, points=self.points, dropout=self.dropout
        )
