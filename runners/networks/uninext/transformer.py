"""Fusing deformable encoder, query selection, and the decoder that refines boxes layer by layer."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from runners.networks.attention.deformable_attention import DeformableAttention
from runners.networks.attention.deformable_transformer import DecoderLayer, DeformableConfig, Encoder, Memory, refine
from runners.networks.attention.positions import interleaved_sine
from runners.networks.parts.heads import Perceptron
from runners.networks.uninext.config import N_LEVELS, UninextConfig
from runners.networks.uninext.fusion import BiAttention, FusionBlock, FusionLayer
from runners.networks.uninext.heads import ProposalScore
from runners.networks.uninext.proposals import Proposals, anchor_boxes, anchor_logits, pick, usable_anchors
from runners.networks.uninext.visual import Visual

# y before x, but w before h.
_SINE_ORDER = (1, 0, 2, 3)


def deformable_sizes(config: UninextConfig) -> DeformableConfig:
    """Return the sizes as the shared deformable layers want them; UNINEXT uses no dropout there."""
    layers = (config.encoder_layers, config.decoder_layers)
    return DeformableConfig(config.width, config.heads, *layers, config.feed_forward, points=config.points, dropout=0.0)


class FusingEncoder(Encoder):
    """One fusion with the text, then the deformable layers."""

    def __init__(self, config: UninextConfig) -> None:
        super().__init__(deformable_sizes(config))
        self.vl_layers = nn.ModuleList([FusionLayer(config)])

    @property
    def fusion(self) -> FusionBlock:
        """What fuses N frames and their N expressions."""
        layer = self.vl_layers[0]
        assert isinstance(layer, FusionLayer)
        return layer.b_attn


@dataclass(frozen=True, slots=True, eq=False)
class Decoded:
    """All decoder layers.

    Args:
        states: `(layers, N, Q, C)`.
        entering: `(layers, N, Q, 4)` boxes (cx, cy, w, h) in [0, 1] that entered each layer. In training
            they keep the gradient of the layer before ("look forward twice").
        boxes: `(layers, N, Q, 4)` boxes after each layer.
    """

    states: Tensor
    entering: Tensor
    boxes: Tensor


class RefiningDecoder(nn.Module):
    """Decoder whose queries move their reference boxes after every layer. Source: uninext.md, section 8."""

    def __init__(self, config: UninextConfig, n_layers: int) -> None:
        super().__init__()
        sizes = deformable_sizes(config)
        self.width = config.width
        self.layers = nn.ModuleList(DecoderLayer(sizes) for _ in range(n_layers))
        self.ref_point_head = Perceptron(2 * config.width, config.width, config.width)

    def position(self, reference: Tensor) -> Tensor:
        """Return the query positions `(N, Q, C)` of references `(N, Q, 4)` on level 0."""
        # (N, Q, 4) -> (N, Q, 4, C / 2) -> (N, Q, 2C) -> (N, Q, C)
        features = interleaved_sine(reference[..., _SINE_ORDER] * (2 * math.pi), self.width // 2)
        return self.ref_point_head(features.flatten(-2))

    def forward(
        self, content: Tensor, reference: Tensor, memory: Memory, box_heads: nn.ModuleList, hidden: Tensor | None
    ) -> Decoded:
        """Return the layers' states and boxes.

        Args:
            content: `(N, Q, C)` what the queries start with.
            reference: `(N, Q, 4)` boxes in [0, 1] of the valid image.
            hidden: `(Q, Q)` bool, true where a query must not look; None: all see all.
        """
        # (N, levels, 2) -> (N, 1, levels, 4): x, y, w and h shrink with the padded map
        ratios = memory.valid_ratios.repeat(1, 1, 2)[:, None]
        states, entering, boxes = [], [reference], []
        for layer, head in zip(self.layers, box_heads, strict=False):
            scaled = reference[:, :, None] * ratios
            # The position follows the box as it moves, in the coordinates of the finest level.
            content = layer(content, self.position(scaled[:, :, 0]), scaled, memory, hidden)
            delta = head(content)
            moved = refine(delta, reference)
            states.append(content)
            # In training a box is measured from the reference that still has its gradient: the loss of a layer reaches
            # the head of the layer before. The value is the same.
            boxes.append(refine(delta, entering[-1]) if self.training else moved)
            entering.append(moved)
            # What the next layer looks at never carries a gradient.
            reference = moved.detach()
        return Decoded(torch.stack(states), torch.stack(entering[:-1]), torch.stack(boxes))


class Transformer(nn.Module):
    """Encoder, query selection and decoder under the released names."""

    def __init__(self, config: UninextConfig) -> None:
        super().__init__()
        self.queries = config.queries
        self.level_embed = nn.Parameter(torch.zeros(N_LEVELS, config.width))
        self.tgt_embed = nn.Embedding(config.queries, config.width)
        self.encoder = FusingEncoder(config)
        self.enc_output = nn.Linear(config.width, config.width)
        self.enc_output_norm = nn.LayerNorm(config.width)
        self.decoder = RefiningDecoder(config, config.decoder_layers)

    def reset_parameters(self) -> None:
        """Xavier for all matrices, stars for the sampling offsets, unit normal level embeddings."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        for module in self.modules():
            if isinstance(module, DeformableAttention):
                module.reset_parameters()
            elif isinstance(module, BiAttention):
                module.align()
        nn.init.normal_(self.level_embed)

    def encode(self, fused: Tensor, visual: Visual) -> Memory:
        """Return the encoded tokens of N frames."""
        ratios = visual.ratios
        tokens = self.encoder(fused, visual.positions, visual.shapes, ratios, visual.padding)
        return Memory(tokens, visual.shapes, visual.padding, ratios)

    def propose(self, memory: Memory, visual: Visual, score: ProposalScore, box: Perceptron) -> Proposals:
        """Return the best boxes among the tokens, at most as many as there are queries.

        Unusable tokens keep one common score and may be chosen, as in the released networks.
        """
        # (N, S, 4), a box about every pixel of every level
        anchors = anchor_boxes(visual.shapes, visual.valid)
        usable = usable_anchors(anchors, visual.padding)
        logits = anchor_logits(anchors, usable)
        # Unusable tokens are zeroed before the layer: its bias makes them all alike, and they keep that common score.
        features = self.enc_output_norm(self.enc_output(memory.tokens * usable[..., None]))
        scores = score(features)
        tokens = scores.topk(min(self.queries, scores.shape[1]), dim=1).indices
        all_boxes = box(features) + logits if self.training else None
        # Infinity stays infinity, so the reference of an unusable token is exactly 1; a large number would give others.
        boxes = pick(all_boxes, tokens) if all_boxes is not None else box(pick(features, tokens)) + pick(logits, tokens)
        return Proposals(scores, tokens, boxes, all_boxes)

    def content(self, n_frames: int, n_queries: int) -> Tensor:
        """Return the learned content of the queries in rank order, `(N, Q, C)`."""
        # By rank: two proposals that swap for a rounding error change two queries.
        return self.tgt_embed.weight[:n_queries].expand(n_frames, -1, -1)
