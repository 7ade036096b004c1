"""ReferFormer: queries made of the sentence find the object in every frame. Source: referformer.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from deaot_toolkit.products import use_direct_products
from torch import Tensor, nn

from runners.networks.attention.broadcast_attention import LanguageFusion
from runners.networks.attention.deformable_transformer import (
    DecoderStates,
    DeformableConfig,
    DeformableTransformer,
    refine,
)
from runners.networks.attention.positions import sine_encoding_2d
from runners.networks.backbones.table import (
    Backbone,
    BackboneConfig,
    build_backbone,
    keep_annotated,
    level_masks,
    repeat_clips,
)
from runners.networks.parts.clip_rows import by_clip, for_clips, join_frames
from runners.networks.parts.dynamic_masks import count_parameters, dynamic_masks
from runners.networks.parts.heads import Perceptron, start_heads
from runners.networks.parts.pyramid import (
    CrossModalPyramid,
    PyramidLevel,
    key_padding,
    spread_position,
    to_maps,
    to_tokens,
)
from runners.networks.parts.referring import (
    HeadStates,
    Predictions,
    Selection,
    VisualFeatures,
    draw_masks,
    select_query,
)
from runners.networks.referformer.ablations import BlankQueries, PlaceBlindFilters
from runners.networks.text.text_encoder import Resizer, TextConfig, TextFeatures, build_roberta, encode_text
from rvos.settings import Chance, Count, Size

# Of the projections; the pyramid of the same network has 8.
_GROUPS = 32


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

    def transformer(self) -> DeformableConfig:
        """Return the sizes of the deformable transformer."""
        layers = (self.encoder_layers, self.decoder_layers)
        return DeformableConfig(
            self.hidden_dim, self.heads, *layers, self.feedforward, points=self.points, dropout=self.dropout
        )


class ReferFormer(nn.Module):
    """The network with random weights, as trained from scratch; parameter names are the official ones."""

    adds_language = False

    def __init__(self, config: ReferFormerConfig) -> None:
        super().__init__()
        self.config = config
        width, hidden = config.hidden_dim, config.text.hidden
        # Tied: decoder and network hold the same modules, and both names stand in the official files.
        box_heads = nn.ModuleList(Perceptron(width, width, width, 4) for _ in range(config.decoder_layers))
        self.transformer = DeformableTransformer(config.transformer(), box_heads)
        self.class_embed = nn.ModuleList(nn.Linear(width, config.classes) for _ in range(config.decoder_layers))
        self.bbox_embed = box_heads
        self.query_embed = nn.Embedding(config.queries, width)
        self.backbone = nn.ModuleList([build_backbone(config.backbone, config.backbone_sizes)])
        channels = self.visual_backbone.channels
        layers = [nn.Conv2d(inputs, width, 1) for inputs in channels[1:]]
        layers.append(nn.Conv2d(channels[-1], width, 3, stride=2, padding=1))
        for layer in layers:
            nn.init.xavier_uniform_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        self.input_proj = nn.ModuleList(nn.Sequential(layer, nn.GroupNorm(_GROUPS, width)) for layer in layers)
        self.text_encoder = build_roberta(config.text)
        self.resizer = Resizer(hidden, width, config.dropout)
        self.fusion_module = LanguageFusion(width, config.heads, adds=self.adds_language)
        self.pixel_decoder = CrossModalPyramid(
            channels[0],
            channels=width,
            mask_channels=config.mask_dim,
            heads=config.heads,
            feedforward=config.feedforward,
            dropout=config.dropout,
            reads_words=config.pyramid_fusion,
        )
        self.controller = _build_controller(config)
        self.query_start = nn.Identity() if config.conditional_queries else BlankQueries()
        start_heads(self.class_embed, self.bbox_embed)
        self.controller.reset_xavier()
        use_direct_products(self)

    @property
    def visual_backbone(self) -> Backbone:
        """The backbone; official names keep it as the first of a sequence."""
        backbone = self.backbone[0]
        assert isinstance(backbone, Backbone)
        return backbone

    def encode_video(
        self,
        frames: Tensor,
        padding_mask: Tensor | None = None,
        sizes: Tensor | None = None,
        *,
        expressions: int = 1,
        annotated: Tensor | None = None,
    ) -> VisualFeatures:
        """Return what all expressions of a clip share.

        Args:
            frames: `(B, T, 3, H, W)` normalised, zero-padded.
            padding_mask: `(B, T, H, W)` bool, true = padding, the same for all frames of a clip; None: no padding.
            sizes: `(B * E, 2)` unpadded (height, width); None: (H, W).
            expressions: E; the features of every clip are repeated so often, one after the other.
            annotated: `(B * E,)` place of the only annotated frame of each clip: the backbone sees all frames,
                everything behind it that one alone, and T is 1 from there on; None: all frames.
        """
        clips, n_frames, _, height, width = frames.shape
        # (B, T, 3, H, W) -> four maps (B * E * T, C_l, h_l, w_l): the backbone sees every clip once, whatever E is
        levels = [repeat_clips(level, clips, expressions) for level in self.visual_backbone(frames)]
        if padding_mask is not None:
            padding_mask = padding_mask.repeat_interleave(expressions, 0)
        clips *= expressions
        if annotated is not None:
            levels, n_frames = [keep_annotated(level, clips, annotated) for level in levels], 1
        if sizes is None:
            sizes = torch.tensor([[height, width]], device=frames.device).expand(clips, -1)
        # Strides 8, 16, 32, and 64 from the raw last level once more, not from its projection: (B * E * T, C, h, w)
        maps = [project(level) for project, level in zip(self.input_proj, (*levels[1:], levels[-1]), strict=True)]
        is_padded = padding_mask is not None and bool(padding_mask.any())
        # One mask serves all frames of a clip, and one all clips where nothing is padded.
        whole = padding_mask[:, 0] if padding_mask is not None else frames.new_zeros((1, height, width)).bool()
        # The mask of stride 64 comes from the input's mask like the others, not from that of stride 32.
        masks = level_masks(whole if is_padded else whole[:1], [levels[0], *maps])
        finest, *projected = (
            self._place(level, mask, n_frames if is_padded else 0)
            for level, mask in zip((levels[0], *maps), masks, strict=True)
        )
        # (B * E or 1, h, w) -> (B * E * T, h, w)
        spread = [mask.repeat_interleave(clips * n_frames // len(mask), 0) for mask in masks[1:]]
        # The dearest part of the pyramid, and the words have no part in it: once a clip, for all expressions.
        tokens = self.pixel_decoder.prepare_finest(finest, clips)
        return VisualFeatures(clips, n_frames, sizes, tuple(projected), tuple(spread), finest, tokens)

    def _place(self, level: Tensor, mask: Tensor, repeats: int) -> PyramidLevel:
        """Return a map with its encoding; masks `(B or 1, h, w)` are repeated for the frames of padded clips."""
        position = sine_encoding_2d(mask, self.config.hidden_dim).to(level.dtype)
        if not repeats:
            return PyramidLevel(level, position, None)
        return PyramidLevel(level, position.repeat_interleave(repeats, 0), mask.repeat_interleave(repeats, 0))

    def encode_text(self, ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        """Return the features of tokenised expressions `(B, L)`."""
        return encode_text(self.text_encoder, self.resizer, ids, attention_mask)

    def forward(
        self,
        frames: Tensor,
        padding_mask: Tensor | None,
        ids: Tensor,
        attention_mask: Tensor,
        sizes: Tensor | None = None,
        annotated: Tensor | None = None,
    ) -> Predictions:
        """Return all queries' predictions, E expressions a clip; the other arguments are as in `encode_video`.

        Args:
            ids: `(B * E, L)` int64, padded with 1; those of a clip next to each other.
            attention_mask: `(B * E, L)`, 1 = token.
        """
        expressions = len(ids) // len(frames)
        visual = self.encode_video(frames, padding_mask, sizes, expressions=expressions, annotated=annotated)
        return self.predict(visual, self.encode_text(ids, attention_mask))

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
        return Selection(query, scores, boxes, masks)

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

    def memory_levels(self, visual: VisualFeatures, maps: Sequence[Tensor], clips: int) -> list[PyramidLevel]:
        """Return the encoded maps of strides 8, 16 and 32 with their encodings and masks."""
        return [
            PyramidLevel(
                level,
                for_clips(place.position, visual.clips, clips, visual.frames),
                None if place.padding_mask is None else for_clips(place.padding_mask, visual.clips, clips),
            )
            for level, place in zip(maps, visual.projected, strict=False)
        ]

    def mask_features(self, visual: VisualFeatures, coarse: Tensor, text: TextFeatures) -> Tensor:
        """Return the mask features `(E * T, mask_dim, h, w)` at stride 4, of the pyramid's stride-8 map."""
        position = spread_position(visual.finest.position, visual.clips, visual.frames)
        finest = self.pixel_decoder.finest(visual.tokens, position, text, coarse, visual.finest_size)
        return self.pixel_decoder.mask_features(finest)

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
