"""SAM 3's concept detector, from `transformers`: a phrase and a frame give instances and whether there is any.

Source: docs/specs/sam3.md, sections 9 and 10.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
from deaot_toolkit.products import use_direct_products
from torch import Tensor, nn
from transformers import Sam3Model

from sam3_toolkit.configs import NetworkConfig
from sam3_toolkit.vision import build_pyramid, encode_image, encode_positions

_EDGE = 1e-3
"""Boxes are moved no nearer to the edges before they are turned into logits."""


@dataclass(frozen=True, slots=True, eq=False)
class Concept:
    """A phrase, encoded; it serves all frames.

    Args:
        vectors: `(1, 32, 256)`.
        is_token: which of them belong to the phrase, `(1, 32)` bool.
    """

    vectors: Tensor
    is_token: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class FrameMaps:
    """What the detector needs of a frame; it serves all phrases.

    Args:
        levels: `(1, 256, 4f, 4f)`, `(1, 256, 2f, 2f)`, `(1, 256, f, f)`.
        summary: the prompt vector that every frame adds to a phrase, `(1, 1, 256)`.
    """

    levels: tuple[Tensor, Tensor, Tensor]
    summary: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """What a phrase finds in a frame, before anything is left out.

    Args:
        logits: of the Q queries, `(Q,)`.
        presence: logit that the frame shows the phrase at all.
        boxes: x0, y0, x1, y1 as shares of the frame, `(Q, 4)`.
        queries: `(1, Q, 256)`.
        fused: the frame's coarse map after looking at the prompt, `(1, cells, 256)`.
        prompt: `(1, 33, 256)`, the phrase and the frame's own vector.
        is_valid: which of its vectors count, `(1, 33)` bool.
    """

    logits: Tensor
    presence: Tensor
    boxes: Tensor
    queries: Tensor
    fused: Tensor
    prompt: Tensor
    is_valid: Tensor

    @property
    def scores(self) -> Tensor:
        """Probability of each query, that of the phrase's presence included, `(Q,)`."""
        return self.logits.sigmoid() * self.presence.sigmoid()


class Detector(nn.Module):
    """The network, with the prompt vector of a frame that the library leaves out of phrases without boxes.

    Args:
        side: of the square network input, in pixels; None: that of the configuration.

    Raises:
        NetworkConfigError: the patches do not fit the input.
    """

    library_prefixes: ClassVar[Mapping[str, str]] = {"model.": "detector_model."}
    """See `Tracker`."""

    def __init__(self, config: NetworkConfig, side: int | None = None) -> None:
        super().__init__()
        self.config = config
        side = side or config.side
        settings = config.detector(side)
        self.side, self.cells = side, side // settings.vision_config.backbone_config.patch_size
        self.model = Sam3Model(settings)
        use_direct_products(self.eval())
        neck = self.model.vision_encoder.neck
        positions = encode_positions(neck, settings.detr_encoder_config.hidden_size, self.cells)
        self.positions = nn.Buffer(positions, persistent=False)

    def encode(self, image: Tensor) -> FrameMaps:
        """Return the maps of an image `(1, 3, side, side)`."""
        return self.project(encode_image(self.model.vision_encoder.backbone, image))

    def project(self, spread: Tensor) -> FrameMaps:
        """Return the maps of a trunk's map `(1, C, f, f)`."""
        finest, fine, coarse = build_pyramid(self.model.vision_encoder.neck, spread)
        return FrameMaps((finest, fine, coarse), self.summarise(coarse))

    def read(self, tokens: Tensor) -> Concept:
        """Return a phrase of token numbers `(1, 32)`, padded with 0."""
        is_token = tokens != 0
        # As officially the padding is not masked in here: no token can look back at it.
        vectors = self.model.get_text_features(tokens, return_dict=True).pooler_output
        return Concept(vectors, is_token)

    def find(self, maps: FrameMaps, concept: Concept) -> Instances:
        """Return what a phrase finds in a frame."""
        model, coarse = self.model, maps.levels[2]
        prompt = torch.cat([concept.vectors, maps.summary], dim=1)
        is_valid = torch.cat([concept.is_token, torch.ones_like(concept.is_token[:, :1])], dim=1)
        fused = model.detr_encoder(
            vision_features=[coarse], text_features=prompt, vision_pos_embeds=[self.positions], text_mask=is_valid
        )
        decoded = model.detr_decoder(
            vision_features=fused.last_hidden_state,
            text_features=prompt,
            vision_pos_encoding=fused.pos_embeds_flattened,
            text_mask=is_valid,
            spatial_shapes=fused.spatial_shapes,
        )
        queries = decoded.intermediate_hidden_states[-1]
        places = decoded.reference_boxes[-1].clamp(0, 1)
        moved = (places.clamp(min=_EDGE) / (1 - places).clamp(min=_EDGE)).log() + model.detr_decoder.box_head(queries)
        centre, half = moved.sigmoid()[0, :, :2], moved.sigmoid()[0, :, 2:] / 2
        logits = model.dot_product_scoring(queries[None], prompt, is_valid)
        return Instances(
            logits.reshape(-1),
            decoded.presence_logits[-1].reshape(()),
            torch.cat([centre - half, centre + half], dim=1),
            queries,
            fused.last_hidden_state,
            prompt,
            is_valid,
        )

    def draw(self, maps: FrameMaps, found: Instances, chosen: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mask logits of chosen queries, by their numbers `(n,)`, and of the phrase in every place.

        Masks of all queries at full size would take 66 MB a frame and phrase.

        Returns:
            `(n, 4f, 4f)` and `(4f, 4f)`.
        """
        out = self.model.mask_decoder(
            decoder_queries=found.queries[:, chosen],
            backbone_features=list(maps.levels),
            encoder_hidden_states=found.fused,
            prompt_features=found.prompt,
            prompt_mask=found.is_valid,
        )
        return out.pred_masks[0], out.semantic_seg[0, 0]

    def summarise(self, coarse: Tensor) -> Tensor:
        """Return the prompt vector of a frame `(1, 1, 256)`: what the class token makes of its map."""
        encoder = self.model.geometry_encoder
        vector = encoder.prompt_layer_norm(encoder.final_proj(encoder.cls_embed.weight[None]))
        cells, positions = (tensor.flatten(2).transpose(1, 2) for tensor in (coarse, self.positions))
        for layer in encoder.layers:
            vector = layer(vector, vision_feats=cells, vision_pos_encoding=positions, prompt_mask=None)
        summary: Tensor = encoder.output_layer_norm(vector)
        return summary
