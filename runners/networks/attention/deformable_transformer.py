"""Deformable encoder over the maps of a frame, and a decoder of box-refining queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from runners.networks.attention.broadcast_attention import feed_forward
from runners.networks.attention.deformable_attention import DeformableAttention, MapShapes

# Below this a reference counts as this: the boxes of all released networks were refined with it.
_EPSILON = 1e-5


@dataclass(frozen=True, slots=True)
class DeformableConfig:
    """Sizes of a deformable transformer; the defaults are ReferFormer's."""

    channels: int = 256
    heads: int = 8
    encoder_layers: int = 4
    decoder_layers: int = 4
    feedforward: int = 2048
    levels: int = 4
    points: int = 4
    dropout: float = 0.1


@dataclass(frozen=True, slots=True)
class Memory:
    """Encoded maps of N frames.

    Args:
        tokens: (N, S, C), levels concatenated row-major.
        shapes: (h, w) of every level.
        padding_mask: bool (N, S), true = padding; None: nothing is padded.
        valid_ratios: (N, levels, 2) share of valid columns and rows of every level, (x, y).
    """

    tokens: Tensor
    shapes: tuple[tuple[int, int], ...]
    padding_mask: Tensor | None
    valid_ratios: Tensor

    def maps(self) -> list[Tensor]:
        """Return the levels as maps (N, C, h, w)."""
        parts = self.tokens.split_with_sizes([h * w for h, w in self.shapes], dim=1)
        return [torch.unflatten(part.transpose(1, 2), 2, shape) for part, shape in zip(parts, self.shapes, strict=True)]


@dataclass(frozen=True, slots=True)
class DecoderStates:
    """What the decoder keeps of its layers.

    Args:
        hidden: (layers, N, Q, C) state after each layer.
        initial_reference: (N, Q, 2) in [0, 1].
        references: (layers, N, Q, 4) boxes (cx, cy, w, h) after each layer's refinement, detached.
        deltas: (layers, N, Q, 4) raw box-head outputs on `hidden`, before the reference is added.
    """

    hidden: Tensor
    initial_reference: Tensor
    references: Tensor
    deltas: Tensor


def inverse_sigmoid(values: Tensor) -> Tensor:
    """Return the logit of values clamped to [0, 1]; finite at both ends."""
    values = values.clamp(0, 1)
    return (values.clamp(min=_EPSILON) / (1 - values).clamp(min=_EPSILON)).log()


def refine(delta: Tensor, reference: Tensor) -> Tensor:
    """Return the box sigmoid(delta + logit(reference)), (..., 4); a 2-number reference moves the centre only."""
    size = reference.shape[-1]
    # A first reference is a point: the sizes of the first box come from the head alone.
    centre = delta[..., :size] + inverse_sigmoid(reference)
    return torch.cat((centre, delta[..., size:]), dim=-1).sigmoid()


def valid_ratio(padding_mask: Tensor) -> Tensor:
    """Return the share of valid columns and rows of a map: bool (N, h, w) -> float32 (N, 2) as (x, y)."""
    # Padding is right and below, so that the first row and the first column tell how much is valid.
    valid = (~padding_mask).float()
    return torch.stack((valid[:, 0].mean(1), valid[:, :, 0].mean(1)), dim=-1)


def pixel_references(shapes: MapShapes, valid_ratios: Tensor) -> Tensor:
    """Return the centre of every pixel in the coordinates of every level, (N, S, levels, 2)."""
    centres = []
    for level, (height, width) in enumerate(shapes):
        rows = torch.arange(height, dtype=torch.float32, device=valid_ratios.device) + 0.5
        columns = torch.arange(width, dtype=torch.float32, device=valid_ratios.device) + 0.5
        # Centres in parts of the valid image, (N, w) and (N, h) ...
        x = columns / (valid_ratios[:, level, 0, None] * width)
        y = rows / (valid_ratios[:, level, 1, None] * height)
        # (N, h, w, 2) as (x, y)
        grid = torch.stack((x[:, None].expand(-1, height, -1), y[:, :, None].expand(-1, -1, width)), dim=-1)
        centres.append(grid.flatten(1, 2))
    # ... and back to parts of each level's padded map: levels round their padding differently. (N, S, levels, 2)
    return torch.cat(centres, dim=1)[:, :, None] * valid_ratios[:, None]


class EncoderLayer(nn.Module):
    """Deformable self-attention over all levels, then a feed-forward network; post-norm."""

    def __init__(self, config: DeformableConfig) -> None:
        super().__init__()
        self.self_attn = DeformableAttention(config.channels, config.levels, config.heads, config.points)
        self.norm1 = nn.LayerNorm(config.channels)
        self.linear1 = nn.Linear(config.channels, config.feedforward)
        self.linear2 = nn.Linear(config.feedforward, config.channels)
        self.norm2 = nn.LayerNorm(config.channels)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, tokens: Tensor, position: Tensor, reference: Tensor, shapes: MapShapes, padding_mask: Tensor | None
    ) -> Tensor:
        """Return the new tokens (N, S, C); the position is added to the queries only."""
        # Keys are locations here: only the query has a position, the values have none.
        gathered = self.self_attn(tokens + position, reference, tokens, shapes, padding_mask)
        tokens = self.norm1(tokens + self.dropout(gathered))
        hidden = feed_forward(self.linear1, self.linear2, self.dropout, tokens)
        return self.norm2(tokens + self.dropout(hidden))


class Encoder(nn.Module):
    """The encoder layers in sequence."""

    def __init__(self, config: DeformableConfig) -> None:
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(config) for _ in range(config.encoder_layers))

    def forward(
        self,
        tokens: Tensor,
        position: Tensor,
        shapes: MapShapes,
        valid_ratios: Tensor,
        padding_mask: Tensor | None,
    ) -> Tensor:
        """Return the encoded tokens (N, S, C)."""
        reference = pixel_references(shapes, valid_ratios)
        for layer in self.layers:
            tokens = layer(tokens, position, reference, shapes, padding_mask)
        return tokens


class DecoderLayer(nn.Module):
    """Self-attention, deformable attention, feed-forward; post-norm, numbered as officially: norm2 comes first."""

    def __init__(self, config: DeformableConfig) -> None:
        super().__init__()
        self.cross_attn = DeformableAttention(config.channels, config.levels, config.heads, config.points)
        self.norm1 = nn.LayerNorm(config.channels)
        self.self_attn = nn.MultiheadAttention(config.channels, config.heads, dropout=config.dropout, batch_first=True)
        self.norm2 = nn.LayerNorm(config.channels)
        self.linear1 = nn.Linear(config.channels, config.feedforward)
        self.linear2 = nn.Linear(config.feedforward, config.channels)
        self.norm3 = nn.LayerNorm(config.channels)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, content: Tensor, position: Tensor, reference: Tensor, memory: Memory, hidden: Tensor | None = None
    ) -> Tensor:
        """Return the new content (N, Q, C); `reference` (N, Q, levels, 2 or 4) is in padded coordinates.

        `hidden`, bool (Q, Q), is true where a query must not look at another; None: all see all.
        """
        query = content + position
        mixed = self.self_attn(query, query, content, need_weights=False, attn_mask=hidden)[0]
        content = self.norm2(content + self.dropout(mixed))
        # The position is added again: the norm before has changed the content.
        gathered = self.cross_attn(content + position, reference, memory.tokens, memory.shapes, memory.padding_mask)
        content = self.norm1(content + self.dropout(gathered))
        wide = self.dropout(self.linear1(content).relu_())
        return self.norm3(content + self.dropout(self.linear2(wide)))


class Decoder(nn.Module):
    """The decoder layers, each with the box head that refines its references and that also reads the final states."""

    def __init__(self, config: DeformableConfig, box_heads: nn.ModuleList) -> None:
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(config) for _ in range(config.decoder_layers))
        self.bbox_embed = box_heads

    def forward(self, content: Tensor, position: Tensor, reference: Tensor, memory: Memory) -> DecoderStates:
        """Return the states of all layers; `reference` (N, Q, 2) is in unpadded coordinates."""
        initial = reference
        hidden, references, deltas = [], [], []
        for layer, box_head in zip(self.layers, self.bbox_embed, strict=True):
            # (N, levels, 2) for a point, (N, levels, 4) for a box: x, y, w and h shrink with the padded map.
            ratios = memory.valid_ratios.repeat(1, 1, reference.shape[-1] // 2)
            content = layer(content, position, reference[:, :, None] * ratios[:, None], memory)
            delta = box_head(content)
            # No gradient from layer to layer: each box head answers for its own step alone.
            reference = refine(delta, reference).detach()
            hidden.append(content)
            references.append(reference)
            deltas.append(delta)
        return DecoderStates(torch.stack(hidden), initial, torch.stack(references), torch.stack(deltas))


class DeformableTransformer(nn.Module):
    """Encoder and decoder; every frame is an entry of its own."""

    def __init__(self, config: DeformableConfig, box_heads: nn.ModuleList) -> None:
        super().__init__()
        self.encoder = Encoder(config)
        self.decoder = Decoder(config, box_heads)
        # All that tells a token its level: the sine encodings of the levels are alike.
        self.level_embed = nn.Parameter(torch.empty(config.levels, config.channels))
        self.reference_points = nn.Linear(config.channels, 2)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier for all matrices but those of the box heads, stars for the sampling offsets."""
        parts = (*self.encoder.layers, *self.decoder.layers)
        for parameter in (parameter for part in parts for parameter in part.parameters()):
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        for module in (module for part in parts for module in part.modules()):
            if isinstance(module, DeformableAttention):
                module.reset_parameters()
        nn.init.normal_(self.level_embed)
        nn.init.xavier_uniform_(self.reference_points.weight)
        nn.init.zeros_(self.reference_points.bias)

    def encode(self, maps: Sequence[Tensor], padding_masks: Sequence[Tensor], positions: Sequence[Tensor]) -> Memory:
        """Return the encoded maps.

        Args:
            maps: (N, C, h, w) of every level, strides ascending.
            padding_masks: bool (N, h, w) of every level, true = padding.
            positions: (N, C, h, w) sine encodings; N = 1 serves all frames.
        """
        shapes = tuple((level.shape[-2], level.shape[-1]) for level in maps)
        # (N, C, h, w) of every level -> (N, S, C), finest level first
        tokens = torch.cat([level.flatten(2).transpose(1, 2) for level in maps], dim=1)
        position = torch.cat(
            [
                level.flatten(2).transpose(1, 2) + embedding
                for level, embedding in zip(positions, self.level_embed, strict=True)
            ],
            dim=1,
        )
        mask = torch.cat([level.flatten(1) for level in padding_masks], dim=1)
        # Without padding the mask only costs time, and inference never pads.
        padding_mask = mask if bool(mask.any()) else None
        ratios = torch.stack([valid_ratio(level) for level in padding_masks], dim=1)
        return Memory(self.encoder(tokens, position, shapes, ratios, padding_mask), shapes, padding_mask, ratios)

    def decode(self, memory: Memory, content: Tensor, query_position: Tensor) -> DecoderStates:
        """Return all layers' states; content (N, Q, C) starts the queries, a position (Q, C) serves all frames."""
        position = query_position.expand(content.shape[0], -1, -1)
        reference = self.reference_points(query_position).sigmoid().expand(content.shape[0], -1, -1)
        return self.decoder(content, position, reference, memory)
