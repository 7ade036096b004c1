"""ReferFormer: queries made of the sentence find the object in every frame. Source: referformer.md."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from deaot_toolkit.products import use_direct_products
from torch import Tensor, nn

from runners.networks.attention.broadcast_attention import LanguageFusion
from runners.networks.attention.deformable_transformer import DecoderStates, DeformableTransformer, refine
from runners.networks.parts.clip_rows import by_clip, for_clips, join_frames
from runners.networks.parts.dynamic_masks import count_parameters, dynamic_masks
from runners.networks.parts.heads import Perceptron, start_heads
from runners.networks.parts.pyramid import key_padding, spread_position, to_maps, to_tokens
from runners.networks.parts.referring import (
    HeadStates,
    Predictions,
    Selection,
    VisualFeatures,
    draw_masks,
    select_query,
)
from runners.networks.referformer.ablations import BlankQueries, PlaceBlindFilters
from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.encoders import ReferringEncoders
from runners.networks.text.text_encoder import TextFeatures


class ReferFormer(ReferringEncoders):
    """The network with random weights, as trained from scratch; parameter names are the official ones."""

    adds_language = False

    def __init__(self, config: ReferFormerConfig) -> None:
        super().__init__(config)
        width = config.hidden_dim
        # Tied: decoder and network hold the same modules, and both names stand in the official files.
        box_heads = nn.ModuleList(Perceptron(width, width, width, 4) for _ in range(config.decoder_layers))
        self.transformer = DeformableTransformer(config.transformer(), box_heads)
        self.class_embed = nn.ModuleList(nn.Linear(width, config.classes) for _ in range(config.decoder_layers))
        self.bbox_embed = box_heads
        self.query_embed = nn.Embedding(config.queries, width)
        self.add_encoders()
        self.fusion_module = LanguageFusion(width, config.heads, adds=self.adds_language)
        self.add_pyramid(reads_words=config.pyramid_fusion)
        self.controller = _build_controller(config)
        self.query_start = nn.Identity() if config.conditional_queries else BlankQueries()
        start_heads(self.class_embed, self.bbox_embed)
        self.controller.reset_xavier()
        use_direct_products(self)

    @property
    def slow_parts(self) -> tuple[nn.Module, ...]:
        """What is worth compiling."""
        return self.visual_backbone, self.transformer.encoder

    def predict(self, visual: VisualFeatures, text: TextFeatures) -> Predictions:
        """Return the predictions of all queries and of all decoder layers that have heads."""
        clips, frames = len(text.words), visual.frames
        memory, decoded = self.decode(visual, text)
        coarse = self.pixel_decoder.coarse(self.memory_levels(visual, memory, clips), text)
        # (E * T, C, H/8, W/8) -> (E * T, mask_dim, H/4, W/4)
        features = self.mask_features(visual, coarse, text)
        heads = self.head_states(decoded, clips, training=self.training)
        masks = self._draw_all(features, heads, decoded, visual.sizes)
        logits = [self.class_embed[layer](state) for layer, state in zip(heads.layers, heads.states, strict=True)]
        boxes = [by_clip(_refined_boxes(decoded, layer), clips) for layer in heads.layers]
        return Predictions(
            # (layers, E, T or 1, Q, classes) -> (layers, E, T, Q, classes)
            torch.stack(logits).expand(-1, -1, frames, -1, -1),
            torch.stack(boxes),
            masks,
        )

    @torch.no_grad()
    def segment(self, visual: VisualFeatures, text: TextFeatures, *, frames_at_once: int = 8) -> Selection:
        """Return the best query of each expression: that of the largest mean probability over the clip.

        Masks are drawn for this query only, and the parts in which frames are independent run on a few at a time.

        Args:
            visual: one clip for all E expressions, or one each.
            frames_at_once: frames times expressions in memory at the same time.
        """
        memory, decoded = self.decode(visual, text, frames_at_once=frames_at_once)
        heads = self.head_states(decoded, len(text.words), training=False)
        state, layer = heads.states[-1], heads.layers[-1]
        clips = len(state)
        # (E, T or 1, Q): float32, as halves would tie where the official scores differ
        probability = self.class_embed[layer](state).float().sigmoid().amax(-1)
        # One query for the whole clip, the first of equal ones.
        query = probability.mean(1).argmax(-1)
        boxes = select_query(by_clip(decoded.references[layer], clips), query)
        scores = select_query(probability, query).expand(-1, boxes.shape[1])
        filters = self.controller(select_query(state, query))
        coarse = self.pixel_decoder.coarse(self.memory_levels(visual, memory, len(text.words)), text)
        step = max(1, frames_at_once // len(text.words))
        masks = self._draw_chosen(visual, text, coarse, filters, boxes[..., :2], step)
        return Selection(scores, masks, query=query, boxes=boxes)

    @torch.no_grad()
    def segment_all(
        self, visual: VisualFeatures, text: TextFeatures, *, frames_at_once: int = 8
    ) -> tuple[Tensor, Tensor]:
        """Return the mask logits `(Q, T, h, w)` and scores `(Q, T)` of all queries for one expression."""
        memory, decoded = self.decode(visual, text, frames_at_once=frames_at_once)
        heads = self.head_states(decoded, 1, training=False)
        last = HeadStates(heads.states[-1:].float(), heads.layers[-1:])
        coarse = self.pixel_decoder.coarse(self.memory_levels(visual, memory, 1), text)
        features = self.mask_features(visual, coarse, text)
        with torch.autocast(features.device.type, enabled=False):
            masks = self._draw_all(features.float(), last, decoded, visual.sizes)
            # (1, 1, T or 1, Q, classes) -> (T or 1, Q)
            probability = self.class_embed[last.layers[0]](last.states)[0, 0].sigmoid().amax(-1)
        return masks[0, 0].transpose(0, 1), probability.expand(visual.frames, -1).T

    def query_content(self, visual: VisualFeatures, text: TextFeatures) -> Tensor:
        """Return what the queries of each expression start with, `(E, C)`."""
        return self.query_start(text.sentence)

    def head_states(self, decoded: DecoderStates, clips: int, *, training: bool) -> HeadStates:
        """Return what the heads read: here the decoder's states."""
        # (layers, E * T, Q, C) -> (layers, E, T, Q, C)
        states = torch.unflatten(decoded.hidden, 1, (clips, -1))
        return HeadStates(states, tuple(range(len(states))))

    def fuse(self, visual: VisualFeatures, text: TextFeatures) -> list[Tensor]:
        """Return the projected maps after they have read the words, `(E * T, C, h, w)` a level."""
        return self.fuse_maps([level.map for level in visual.projected], visual.clips, text)

    def fuse_maps(self, maps: Sequence[Tensor], clips: int, text: TextFeatures) -> list[Tensor]:
        """Return maps `(clips * T, C, h, w)` after they have read the words, `(E * T, C, h, w)` each."""
        keys, padding = text.words + text.position, key_padding(text)
        fused = []
        for level in maps:
            # (B * T, C, h, w) -> (B or 1, T * h * w, C) -> fused (E, T * h * w, C) -> (E * T, C, h, w)
            tokens = self.fusion_module(to_tokens(level, clips), keys, text.words, padding)
            fused.append(to_maps(tokens, (level.shape[-2], level.shape[-1])))
        return fused

    def decode(
        self, visual: VisualFeatures, text: TextFeatures, *, frames_at_once: int | None = None
    ) -> tuple[list[Tensor], DecoderStates]:
        """Return encoded maps (strides 8 to 32) and decoder states of `E * T` frames, `frames_at_once` in memory."""
        clips = len(text.words)
        fused = self.fuse(visual, text)
        masks = [for_clips(mask, visual.clips, clips) for mask in visual.padding_masks]
        positions = [for_clips(level.position, visual.clips, clips, visual.frames) for level in visual.projected]
        # (E, C) -> (E * T, Q, C): all queries of all frames start alike, their positions tell them apart
        content = self.query_content(visual, text)[:, None, None]
        content = content.expand(-1, visual.frames, self.config.queries, -1).flatten(0, 1)
        step = frames_at_once or len(content)
        parts = []
        for start in range(0, len(content), step):
            rows = slice(start, start + step)
            shared = [position if len(position) == 1 else position[rows] for position in positions]
            memory = self.transformer.encode([level[rows] for level in fused], [mask[rows] for mask in masks], shared)
            states = self.transformer.decode(memory, content[rows], self.query_embed.weight)
            # Stride 64 has done its work: the pyramid reads strides 8, 16 and 32.
            parts.append((memory.maps()[:-1], states))
        return join_frames(parts)

    def _draw_all(self, features: Tensor, heads: HeadStates, decoded: DecoderStates, sizes: Tensor) -> Tensor:
        """Return the mask logits `(layers, B, T, Q, h, w)` of all queries and layers."""
        n_layers, clips = heads.states.shape[:2]
        frames = len(features) // clips
        # (layers, B, T or 1, Q, parameters) -> (layers, B, T, Q, parameters)
        filters = self.controller(heads.states).expand(-1, -1, frames, -1, -1)
        references = torch.stack([decoded.references[layer][..., :2] for layer in heads.layers])
        masks = dynamic_masks(
            features,
            # Layers become further queries, so that one product serves all: (B * T, layers * Q, parameters)
            filters.permute(1, 2, 0, 3, 4).flatten(2, 3).flatten(0, 1),
            # (layers, B * T, Q, 2) -> (B * T, layers * Q, 2), the boxes after the layer's own refinement
            references.transpose(0, 1).flatten(1, 2),
            sizes.repeat_interleave(frames, 0),
            channels=self.config.mask_channels,
        )
        # (B * T, layers * Q, h, w) -> (layers, B, T, Q, h, w)
        return masks.view(clips, frames, n_layers, -1, *masks.shape[-2:]).permute(2, 0, 1, 3, 4, 5)

    def _draw_chosen(
        self, visual: VisualFeatures, text: TextFeatures, coarse: Tensor, filters: Tensor, references: Tensor, step: int
    ) -> Tensor:
        """Return the chosen queries' mask logits `(E, T, h, w)`, `step` frames of every expression at once."""
        clips, frames = len(text.words), visual.frames
        # The pyramid's last stage is the largest: its frames are independent, and a few at a time keep memory low.
        above = by_clip(coarse, clips)
        # (E or 1, T * h * w, C) -> (E or 1, T, h * w, C)
        tokens = torch.unflatten(visual.tokens, 1, (frames, -1))
        position = spread_position(visual.finest.position, visual.clips, frames)
        position = torch.unflatten(position, 1, (frames, -1))
        filters = filters.expand(-1, frames, -1)
        sizes = visual.sizes[:, None].expand(clips, frames, -1)
        drawn = []
        for start in range(0, frames, step):
            rows = slice(start, start + step)
            features = self.pixel_decoder.finest(
                tokens[:, rows].flatten(1, 2),
                position[:, rows].flatten(1, 2),
                text,
                above[:, rows].flatten(0, 1),
                visual.finest_size,
            )
            # Coordinates in pixels do not survive half precision.
            with torch.autocast(features.device.type, enabled=False):
                masks = draw_masks(
                    features.float(),
                    self.pixel_decoder.mask_features,
                    filters[:, rows].flatten(0, 1).float(),
                    references[:, rows].flatten(0, 1).float(),
                    sizes[:, rows].flatten(0, 1),
                    channels=self.config.mask_channels,
                )
            drawn.append(by_clip(masks, clips))
        return torch.cat(drawn, 1)


def _build_controller(config: ReferFormerConfig) -> Perceptron:
    """Return what predicts the dynamic filters."""
    width, layers = config.hidden_dim, config.controller_layers
    if not config.relative_coordinates:
        return PlaceBlindFilters(width, layers, features=config.mask_dim, channels=config.mask_channels)
    return Perceptron(*([width] * layers), count_parameters(config.mask_dim, config.mask_channels))


def _refined_boxes(decoded: DecoderStates, layer: int) -> Tensor:
    """Return the boxes `(N, Q, 4)` of a layer, with gradients."""
    before = decoded.references[layer - 1] if layer else decoded.initial_reference
    # The decoder has detached its own copy of these boxes; losses need the way back into the box head.
    return refine(decoded.deltas[layer], before)
