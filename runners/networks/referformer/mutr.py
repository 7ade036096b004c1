"""MUTR: ReferFormer whose words have seen the clip and whose queries talk over time. Source: mutr.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from deaot_toolkit.products import use_direct_products
from torch import Tensor

from runners.networks.attention.deformable_transformer import DecoderStates
from runners.networks.parts.clip_rows import by_clip
from runners.networks.parts.pyramid import to_tokens
from runners.networks.parts.referring import HeadStates, VisualFeatures
from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.network import ReferFormer
from runners.networks.referformer.temporal import MultiScaleAggregation, TemporalInteraction
from runners.networks.text.text_encoder import TextFeatures
from rvos.errors import ConfigError
from rvos.settings import Chance, Range, Size

_CountOrNone = Annotated[int, Range(least=0, most=1000)]


@dataclass(frozen=True, slots=True)
class MutrConfig(ReferFormerConfig):
    """Sizes of the network; the defaults are those of the released ones.

    Args:
        aggregation_layers: of the words' passes over each level.
        window: frames of a temporal window.
        interaction_layers: (encoder, decoder) of the queries' interaction.
        eval_layer: heads and reference boxes at evaluation; the released behaviour is 0, although the states are those
            of the last decoder layer, -1 takes the heads of the last layer.
    """

    aggregation_layers: _CountOrNone = 1
    window: Size = 4
    interaction_layers: tuple[_CountOrNone, _CountOrNone] = (3, 3)
    interaction_dropout: Chance = 0.2
    eval_layer: int = 0

    def __post_init__(self) -> None:
        if not self.conditional_queries or self.concatenated:
            raise ConfigError(
                "MUTR: its queries start with words that saw the clip; remove conditional_queries and concatenated"
            )


class Mutr(ReferFormer):
    """The network with random weights, as trained from scratch; parameter names are the official ones."""

    adds_language = True

    def __init__(self, config: MutrConfig) -> None:
        super().__init__(config)
        self.eval_layer = config.eval_layer
        self.MTA = MultiScaleAggregation(config.hidden_dim, config.heads, config.feedforward, config.aggregation_layers)
        encoder_layers, decoder_layers = config.interaction_layers
        self.mti = TemporalInteraction(
            config.hidden_dim,
            heads=config.heads,
            feedforward=config.feedforward,
            frame_queries=config.queries,
            queries=config.queries,
            window=config.window,
            encoder_layers=encoder_layers,
            decoder_layers=decoder_layers,
            dropout=config.interaction_dropout,
        )
        use_direct_products(self)

    def query_content(self, visual: VisualFeatures, text: TextFeatures) -> Tensor:
        """Return the start token after it has seen every level, `(E, C)`; the pooled sentence is not used."""
        # Maps before they have read the words, of all frames at once: (B or 1, T * h * w, C)
        levels = [to_tokens(level.map, visual.clips) for level in visual.projected]
        masks = [
            None if level.padding_mask is None else level.padding_mask.reshape(visual.clips, -1)
            for level in visual.projected
        ]
        words: Tensor = self.MTA(text.words, text.position, levels, masks)
        # `<s>` alone; officially neither the pooled sentence nor the mean of the words is read.
        return words[:, 0]

    def head_states(self, decoded: DecoderStates, clips: int, *, training: bool) -> HeadStates:
        """Return one state a query for the whole clip: of every layer in training, of the last one otherwise."""
        if training:
            n_layers = len(decoded.hidden)
            # (layers, E * T, Q, C) -> (layers * E, T, Q, C): layers share the module as if they were clips. The
            # official code mixes the frames of different clips here when it trains on several; this order keeps them
            # apart.
            states = torch.unflatten(decoded.hidden, 1, (clips, -1)).flatten(0, 1)
            # Training never shifts windows, evaluation does: so the released weights were made and scored.
            mixed = self.mti(states, shifts=False)
            return HeadStates(by_clip(mixed, n_layers)[:, :, None], tuple(range(n_layers)))
        # States of the last layer for heads of the first: an official accident that all published scores contain.
        mixed = self.mti(by_clip(decoded.hidden[-1], clips), shifts=True)
        # (E, Q, C) -> (1, E, 1, Q, C): the scores of a clip are the same in every frame
        return HeadStates(mixed[None, :, None], (self.eval_layer % len(decoded.hidden),))
