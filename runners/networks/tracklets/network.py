"""The top-down cross-modal grounding transformer over tracklets and words. Source: tracklets.md, section 4."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from deaot_toolkit.products import use_direct_products
from torch import Tensor, nn

from runners.networks.backbones.table import Backbone
from runners.networks.text.bert import TextEncoder
from runners.networks.text.language_models import LanguageModel, build_language_model
from runners.networks.text.text_encoder import TextConfig, build_roberta
from runners.networks.tracklets.config import GroundingConfig, Pool
from runners.networks.tracklets.paths import PATH_FEATURES

_FIRST_DEVIATION = 0.02


def average_area(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """Return masks `(..., H, W)` float as the masked part of each of `size` (h, w) equal cells, `(..., h, w)`.

    A cell counts the parts of pixels that it covers, so no mask vanishes and the covered part of the frame stays.
    """
    rows = _overlaps(masks.shape[-2], size[0]).to(masks)
    columns = _overlaps(masks.shape[-1], size[1]).to(masks)
    # (h, H) x (..., H, W) x (W, w)
    return rows @ masks @ columns.T


def _overlaps(pixels: int, cells: int) -> Tensor:
    """Return what part of each cell each pixel covers, `(cells, pixels)`; rows sum to 1."""
    edges = torch.arange(pixels + 1, dtype=torch.float64) * cells / pixels
    cell = torch.arange(cells, dtype=torch.float64)[:, None]
    return (torch.minimum(edges[1:], cell + 1) - torch.maximum(edges[:-1], cell)).clamp(min=0)


def pool_masks(features: Tensor, masks: Tensor, pool: Pool) -> tuple[Tensor, Tensor]:
    """Return what masks `(N, P, h, w)` hold of a map `(N, C, h, w)`, `(N, P, C)`, and a constant's weight, `(N, P)`.

    The weight is what pooling makes of a map of ones: a projection's bias must be multiplied by it to commute with
    pooling.
    """
    # (N, P, h * w) x (N, h * w, C): the sum over cells of mask times feature
    total = masks.flatten(2) @ features.flatten(2).transpose(1, 2)
    area = masks.sum((2, 3))
    if pool == "literal":
        cells = features.shape[-2] * features.shape[-1]
        return total / cells, area / cells
    seen = area > 0
    # Where nothing is masked the sum is zero already, and any divisor keeps it so.
    return total / torch.where(seen, area, 1)[..., None], seen.to(total)


@dataclass(frozen=True, slots=True, eq=False)
class Slots:
    """The tracklets of B videos in S frames each.

    Args:
        tokens: `(B, S, P, D)`, embedding of the slot included.
        valid: `(B, S, P)` bool, slots that take part in a frame; padding does not.
        used: `(B, S)` bool, frames in which any tracklet is seen.
    """

    tokens: Tensor
    valid: Tensor
    used: Tensor

    def select(self, videos: Tensor) -> Slots:
        """Return the slots of the videos `(N,)` int64; repeats are allowed."""
        return Slots(self.tokens[videos], self.valid[videos], self.used[videos])


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """N sentences: tokens `(N, L, D)` with the place's embedding, mask `(N, L)` bool, true = word."""

    tokens: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Paths:
    """Path features `(B, T, P, F)`; padding `(B, T)` bool, true = no frame; chosen `(B, S)` int64, frames looked at."""

    features: Tensor
    padding: Tensor
    chosen: Tensor

    def to(self, device: torch.device) -> Paths:
        """Return the same paths on `device`."""
        return Paths(self.features.to(device), self.padding.to(device), self.chosen.to(device))


class Trajectories(nn.Module):
    """What slots know of their tracklet's path; adds nothing before it is trained."""

    def __init__(self, config: GroundingConfig) -> None:
        super().__init__()
        self.embed = nn.Linear(PATH_FEATURES, config.width)
        self.layers = _build_transformer(config, config.trajectory_layers)
        self.add = nn.Linear(config.width, config.width)
        nn.init.zeros_(self.add.weight)
        nn.init.zeros_(self.add.bias)

    def forward(self, paths: Paths) -> Tensor:
        """Return `(B, S, P, D)`."""
        videos, _, slots = paths.features.shape[:3]
        # (B, T, P, F) -> (B * P, T, D): every tracklet attends to itself alone, over all frames
        states = self.embed(paths.features).transpose(1, 2).flatten(0, 1)
        padding = paths.padding.repeat_interleave(slots, 0)
        states = self.layers(states, src_key_padding_mask=padding)
        states = torch.unflatten(states, 0, (videos, slots)).transpose(1, 2)
        rows = torch.arange(videos, device=states.device)[:, None]
        return self.add(states[rows, paths.chosen])


class GroundingNetwork(nn.Module):
    """Scores for every tracklet of a frame, given a sentence."""

    def __init__(self, config: GroundingConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone = Backbone(config.backbone)
        channels = sum(self.backbone.channels[level] for level in config.levels)
        # The 1x1 convolution of the last map, moved behind the pooling: both are linear.
        self.project = nn.Linear(channels, config.width)
        self.text, hidden = _build_text(config)
        self.words: nn.Module = nn.Identity() if hidden == config.width else nn.Linear(hidden, config.width)
        self.slot_embedding = nn.Parameter(torch.randn(config.slots, config.width) * _FIRST_DEVIATION)
        self.word_embedding = nn.Parameter(torch.randn(config.max_words, config.width) * _FIRST_DEVIATION)
        if config.trajectory:
            self.trajectories = Trajectories(config)
        self.layers = _build_transformer(config, config.layers)
        self.head = nn.Sequential(nn.Linear(config.width, config.width), nn.GELU(), nn.Linear(config.width, 1))
        use_direct_products(self)

    def encode_slots(self, frames: Tensor, masks: Tensor, present: Tensor, paths: Paths | None = None) -> Slots:
        """Return the tracklets of frames as slots. Source: tracklets.md, sections 4.2, 4.3 and 4.5.

        Args:
            frames: `(B, S, 3, h, w)`, normalised.
            masks: `(B, S, P, H, W)` float, 0 or 1, at any size.
            present: `(B, P)` bool, false = padding.
            paths: needed where the network has trajectories.
        """
        videos, n_frames, slots = masks.shape[:3]
        levels = self.backbone(frames)
        flat = masks.flatten(0, 1)
        pooled, weight = [], flat.new_zeros(flat.shape[:2])
        for level in self.config.levels:
            shrunk = average_area(flat, (levels[level].shape[-2], levels[level].shape[-1]))
            feature, weight = pool_masks(levels[level], shrunk, self.config.pool)
            pooled.append(feature)
        # The bias once where something is masked, in full or by the covered part: as if the map had been projected.
        tokens = nn.functional.linear(torch.cat(pooled, -1), self.project.weight)
        tokens = torch.unflatten(tokens + weight[..., None] * self.project.bias, 0, (videos, n_frames))
        tokens = tokens + self.slot_embedding[:slots]
        if self.config.trajectory:
            if paths is None:
                raise TypeError("a network with trajectories needs paths")
            tokens = tokens + self.trajectories(paths)
        seen = torch.unflatten(flat.flatten(2).amax(2) > 0, 0, (videos, n_frames)) & present[:, None]
        valid = seen if self.config.empty_slots == "mask" else present[:, None].expand_as(seen)
        return Slots(tokens, valid, seen.any(2))

    def encode_words(self, ids: Tensor, mask: Tensor) -> Words:
        """Return the words of token ids `(N, L)`; `mask` `(N, L)` is 1 for tokens, special ones included."""
        if isinstance(self.text, TextEncoder):
            hidden = self.text(ids, mask).tokens
        else:
            hidden = self.text(input_ids=ids, attention_mask=mask).last_hidden_state
        return Words(self.words(hidden) + self.word_embedding[: ids.shape[1]], mask.bool())

    def forward(self, slots: Slots, words: Words) -> Tensor:
        """Return logits `(N, S, P)`, -inf where a slot takes no part. Source: tracklets.md, section 4.4."""
        n_frames, n_slots = slots.tokens.shape[1:3]
        # (N, S, P + L, D) -> (N * S, P + L, D): frames do not see each other
        spoken = words.tokens[:, None].expand(-1, n_frames, -1, -1)
        sequence = torch.cat([slots.tokens, spoken], 2).flatten(0, 1)
        heard = words.mask[:, None].expand(-1, n_frames, -1)
        padding = ~torch.cat([slots.valid, heard], 2).flatten(0, 1)
        states = self.layers(sequence, src_key_padding_mask=padding)[:, :n_slots]
        logits: Tensor = torch.unflatten(self.head(states)[..., 0], 0, (-1, n_frames))
        return logits.masked_fill(~slots.valid, float("-inf"))


def video_scores(logits: Tensor, used: Tensor) -> Tensor:
    """Return the mean softmax over `used` frames, `(N, P)`, or 0. Source: tracklets.md, sections 4.5 and 4.6."""
    # A frame in which no slot takes part has no softmax; it is not used either.
    chances = logits.masked_fill(~used[..., None], 0.0).softmax(-1) * used[..., None]
    return chances.sum(1) / used.sum(1, keepdim=True).clamp(min=1)


def _build_transformer(config: GroundingConfig, layers: int) -> nn.TransformerEncoder:
    """Return post-norm layers as in BERT."""
    layer = nn.TransformerEncoderLayer(
        config.width, config.heads, config.feed_forward, config.dropout, "gelu", batch_first=True
    )
    return nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)


def _build_text(config: GroundingConfig) -> tuple[nn.Module, int]:
    """Return the language model and its width."""
    if isinstance(config.text, LanguageModel):
        return build_language_model(config.text)
    if isinstance(config.text, TextConfig):
        return build_roberta(config.text), config.text.hidden
    return TextEncoder(config.text), config.text.width
