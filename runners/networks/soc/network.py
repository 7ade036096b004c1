"""SOC: multiplicative fusion, a deformable transformer a frame, one set of video queries for the whole clip."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from deaot_toolkit.products import use_direct_products
from torch import Tensor, nn

from runners.networks.attention.deformable_transformer import DecoderStates, DeformableTransformer, Memory, refine
from runners.networks.attention.positions import sine_encoding_2d
from runners.networks.backbones.light_pyramid import LightPyramid
from runners.networks.backbones.table import Backbone, keep_annotated, level_masks, repeat_clips, resize_mask
from runners.networks.parts.dynamic_masks import count_parameters, dynamic_masks
from runners.networks.parts.heads import Perceptron, start_heads
from runners.networks.parts.pyramid import to_tokens
from runners.networks.soc.ablations import build_clustering, build_fusions
from runners.networks.soc.types import (
    PROJECTION_GROUPS,
    ChosenQuery,
    LayerOutput,
    QueryStates,
    SOCConfig,
    SOCOutputs,
    VisualFeatures,
)
from runners.networks.text.text_encoder import Resizer, TextFeatures, build_roberta, encode_text

_FEATURES = 5
_SMALLEST_SIDE = 1e-3


class Trajectories(nn.Module):
    """Turns the boxes of a clip into what is added to its frame queries, which the official SOC does not have.

    It adds nothing before it is trained. The clustering has no notion of time: its keys tell the slot of a frame query,
    never the frame. With centre, size and time in the queries themselves it can tell "moves left" from "moves right".
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = Perceptron(_FEATURES, channels, channels)
        self.layers.reset_last(torch.zeros(channels))

    def forward(self, boxes: Tensor) -> Tensor:
        """Return `(B, T, Q, C)` of boxes `(B, T, Q, 4)`, (cx, cy, w, h) in parts of the frame."""
        frames = boxes.shape[1]
        # From -1 in the first frame to 1 in the last; a clip of one frame has no direction.
        time = torch.linspace(-1, 1, frames, device=boxes.device) if frames > 1 else boxes.new_zeros(1)
        time = time.to(boxes.dtype)[:, None, None].expand(*boxes.shape[:3], 1)
        # Centres around 0 like the time; logarithms make growing and shrinking by a factor equal steps.
        sizes = boxes[..., 2:].clamp(min=_SMALLEST_SIDE).log()
        return self.layers(torch.cat([2 * boxes[..., :2] - 1, sizes, time], -1))


class SOC(nn.Module):
    """Semantic-assisted Object Cluster; names as released. Source: Luo et al., NeurIPS 2023; soc.md, section 2."""

    def __init__(self, config: SOCConfig) -> None:
        super().__init__()
        self.config = config
        channels, layers = config.channels, config.decoder_layers
        # The box heads come before the transformer, which holds them too: when a file has
        # two different copies, the transformer's is loaded last and wins, as officially.
        backbone = Backbone(config.backbone)
        self.backbone = nn.ModuleList([backbone])
        self.bbox_embed = nn.ModuleList(Perceptron(channels, channels, channels, 4) for _ in range(layers))
        self.class_embed = nn.ModuleList(nn.Linear(channels, config.classes) for _ in range(layers))
        self.transformer = DeformableTransformer(config.deformable(), self.bbox_embed)
        levels = backbone.channels
        self.input_proj = nn.ModuleList(_projection(width, channels) for width in levels[1:])
        self.input_proj.append(_projection(levels[-1], channels, stride=2))
        self.text_encoder = build_roberta(config.text)
        self.query_embed = nn.Embedding(config.queries, channels)
        self.spatial_decoder = LightPyramid(channels, levels[0], config.pyramid_widths, config.mask_channels)
        self.voc = build_clustering(config)
        self.trajectories = Trajectories(channels) if config.trajectories else None
        self.vlf, self.lvf = build_fusions(config)
        self.txt_proj = Resizer(config.text.hidden, channels, config.dropout)
        filters = count_parameters(config.mask_channels, config.dynamic_channels)
        self.controller = Perceptron(channels, channels, channels, filters)
        start_heads(self.class_embed, self.bbox_embed)
        self.controller.reset_xavier()
        nn.init.normal_(self.query_embed.weight)
        use_direct_products(self)

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
            frames: (B, T, 3, H, W) normalised, padded at the bottom and right.
            padding_mask: bool (B, T, H, W), true = padding; None: nothing is padded.
            sizes: (B * E, 2) unpadded (height, width); None: (H, W).
            expressions: E; the features of every clip are repeated so often, one after the other.
            annotated: (B * E,) place of the only annotated frame of each clip: the backbone sees all frames, everything
                behind it that one alone, and T is 1 from there on; None: all frames.
        """
        clips, steps, _, height, width = frames.shape
        # (B, T, 3, H, W) -> four maps (B * E * T, C_l, h_l, w_l)
        levels = [repeat_clips(level, clips, expressions) for level in self.backbone[0](frames)]
        if padding_mask is not None:
            padding_mask = padding_mask.repeat_interleave(expressions, 0)
        clips *= expressions
        if annotated is not None:
            levels, steps = [keep_annotated(level, clips, annotated) for level in levels], 1
            padding_mask = None if padding_mask is None else padding_mask[:, :1]
        # Strides 8, 16, 32, and 64 from the raw last level, not from its projection.
        maps = [project(level) for project, level in zip(self.input_proj, [*levels[1:], levels[-1]], strict=True)]
        if sizes is None:
            sizes = torch.tensor([(height, width)] * clips, device=frames.device)
        if padding_mask is None or not bool(padding_mask.any()):
            masks = [level.new_zeros((1, *level.shape[-2:]), dtype=torch.bool) for level in maps]
        else:
            whole = padding_mask.flatten(0, 1)
            # The last mask comes from the input's, not from the level that its map was made of.
            masks = [*level_masks(whole, levels[1:]), resize_mask(whole, (maps[-1].shape[-2], maps[-1].shape[-1]))]
        # (B * E * T, C, h, w), or (1, C, h, w) for all frames where nothing is padded
        positions = [sine_encoding_2d(mask, self.config.channels).to(frames.dtype) for mask in masks]
        masks = [mask.expand(clips * steps, -1, -1) for mask in masks]
        finest = self.spatial_decoder.adapt_finest(levels[0])
        return VisualFeatures(clips, tuple(maps), tuple(masks), tuple(positions), finest, sizes)

    def encode_text(self, ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        """Return the features of expressions: token ids (B, L), right-padded with 1, and their mask."""
        return encode_text(self.text_encoder, self.txt_proj, ids, attention_mask)

    def fuse(self, visual: VisualFeatures, text: TextFeatures) -> list[Tensor]:
        """Return the maps (N, C, h, w) times what each pixel reads in the expression."""
        fused = []
        for level in visual.maps:
            # (B * T, C, h, w) -> (B, T * h * w, C), and back below
            pixels = to_tokens(level, visual.clips)
            product = self.vlf(pixels, text.words + text.position, text.words, text.padding_mask)
            fused.append(product.reshape(len(level), -1, level.shape[1]).transpose(1, 2).reshape(level.shape))
        return fused

    def summarise(self, visual: VisualFeatures, text: TextFeatures) -> Tensor:
        """Return the vision-aware sentence g (B, C); only the contrastive loss reads it."""
        # Stride 32 alone; the official code computes two more and drops them. The maps are those before they read the
        # words.
        coarse = 2
        values = to_tokens(visual.maps[coarse], visual.clips)
        positions = visual.positions[coarse].expand_as(visual.maps[coarse])
        mask = visual.masks[coarse].reshape(visual.clips, -1)
        words: Tensor = self.lvf(text.words, values + to_tokens(positions, visual.clips), values, mask)
        valid = (~text.padding_mask)[..., None].to(words.dtype)
        return (words * valid).sum(1) / valid.sum(1)

    def decode(self, visual: VisualFeatures, text: TextFeatures) -> QueryStates:
        """Return the query states of all layers; in evaluation mode the last layer's video queries serve all."""
        memory: Memory = self.transformer.encode(self.fuse(visual, text), visual.masks, visual.positions)
        # Zeros, where ReferFormer has the sentence: here the words come in by the maps and by the video queries.
        content = visual.finest.new_zeros((len(visual.finest), self.config.queries, self.config.channels))
        states = self.transformer.decode(memory, content, self.query_embed.weight)
        # (layers, B * T, Q, C) -> (layers, B, T, Q, C)
        frames = torch.unflatten(states.hidden, 1, (visual.clips, visual.frames))
        gathered = self._with_trajectories(frames, states)
        # (B, T, Q, C) -> (B, Q, C), one pass a layer in training, only the last layer's otherwise
        clip_queries = [self.voc(layer, text.sentence) for layer in (gathered if self.training else gathered[-1:])]
        clip_queries = clip_queries if self.training else clip_queries * len(frames)
        # Slot q of the clip is added to slot q of each frame, which is what ties the slots over time.
        hidden = tuple(layer + clip[:, None] for layer, clip in zip(frames, clip_queries, strict=True))
        if self.config.clustering == "none":
            # Nothing was gathered: the sentence is compared with the queries of the frames themselves.
            clip_queries = list(frames)
        return QueryStates(hidden, tuple(clip_queries), states, self.spatial_decoder(memory.maps(), visual.finest))

    def _with_trajectories(self, frames: Tensor, states: DecoderStates) -> Tensor:
        """Return the frame queries `(layers, B, T, Q, C)` as the clustering sees them."""
        if self.trajectories is None:
            return frames
        boxes = states.references.reshape(*frames.shape[:4], -1)
        moves = [self.trajectories(layer) for layer in boxes]
        return frames + torch.stack(moves).to(frames.dtype)

    def predict_boxes(self, states: QueryStates, layer: int) -> Tensor:
        """Return the boxes (B, T, Q, 4) of a layer; its reference is the one before the layer's refinement."""
        decoder, hidden = states.decoder, states.hidden[layer]
        # The box head speaks twice: inside of the decoder on its own state, here on the state with the video query.
        reference = decoder.references[layer - 1] if layer else decoder.initial_reference
        return refine(self.bbox_embed[layer](hidden), reference.reshape(*hidden.shape[:3], -1))

    def predict_masks(self, states: QueryStates, layer: int, sizes: Tensor, queries: Sequence[int] | None) -> Tensor:
        """Return the mask logits (B, T, Q, h, w) of chosen queries; None: of all."""
        hidden, references = states.hidden[layer], states.decoder.references[layer]
        chosen = slice(None) if queries is None else list(queries)
        # (B, T, Q', C) -> (B * T, Q', parameters)
        filters = self.controller(hidden[:, :, chosen]).flatten(0, 1)
        masks = dynamic_masks(
            states.mask_features,
            filters,
            # The decoder's refined reference, not the centre of the predicted box.
            references[:, chosen, :2],
            sizes.repeat_interleave(hidden.shape[1], 0),
            channels=self.config.dynamic_channels,
        )
        return masks.reshape(*hidden.shape[:2], *masks.shape[1:])

    def forward(
        self,
        frames: Tensor,
        padding_mask: Tensor | None,
        ids: Tensor,
        attention_mask: Tensor,
        sizes: Tensor,
        annotated: Tensor | None = None,
    ) -> SOCOutputs:
        """Return the predictions of all layers and queries; the other arguments are as in `encode_video`.

        Args:
            ids, attention_mask: (B * E, L) tokens of E expressions a clip, those of a clip next to each other.
        """
        expressions = len(ids) // len(frames)
        visual = self.encode_video(frames, padding_mask, sizes, expressions=expressions, annotated=annotated)
        text = self.encode_text(ids, attention_mask)
        states = self.decode(visual, text)
        layers = tuple(
            LayerOutput(
                self.class_embed[layer](states.hidden[layer]),
                self.predict_boxes(states, layer),
                self.predict_masks(states, layer, sizes, None),
                states.clip_queries[layer],
            )
            for layer in range(self.config.decoder_layers)
        )
        return SOCOutputs(layers, self.summarise(visual, text))

    @torch.no_grad()
    def segment(self, visual: VisualFeatures, text: TextFeatures, *, output_layer: int = 0) -> ChosenQuery:
        """Return the best query slot of one clip, with its masks. Source: soc.md, sections 2.9, 4.2 and 4.3.

        Args:
            output_layer: whose heads speak; 0 is what the official network returns in evaluation, -1 the last.
        """
        states = self.decode(visual, text)
        layer = output_layer % self.config.decoder_layers
        # Float32, as halves would tie where the official scores differ.
        probabilities = self.class_embed[layer](states.hidden[layer][0]).float().sigmoid()
        # (T, Q, K) -> (Q,) -> (): one slot for the whole clip, the first of equal ones
        index = int(probabilities.mean(0).amax(-1).argmax())
        masks = self.predict_masks(states, layer, visual.sizes, [index])
        return ChosenQuery(index, probabilities[:, index, 0], masks[0, :, 0])

    @torch.no_grad()
    def segment_all(
        self, visual: VisualFeatures, text: TextFeatures, *, output_layer: int = 0
    ) -> tuple[Tensor, Tensor]:
        """Return the mask logits `(Q, T, h, w)` and scores `(Q, T)` of all query slots; see `segment`."""
        states = self.decode(visual, text)
        layer = output_layer % self.config.decoder_layers
        probabilities = self.class_embed[layer](states.hidden[layer][0]).float().sigmoid()
        masks = self.predict_masks(states, layer, visual.sizes, None)[0]
        return masks.transpose(0, 1), probabilities.amax(-1).T


def _projection(width: int, channels: int, stride: int = 1) -> nn.Sequential:
    kernel = 3 if stride > 1 else 1
    layer = nn.Conv2d(width, channels, kernel, stride, padding=kernel // 2)
    nn.init.xavier_uniform_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return nn.Sequential(layer, nn.GroupNorm(PROJECTION_GROUPS, channels))
