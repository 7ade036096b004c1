"""The parts that ablations put in the place of SOC's own: other clusterings of frame queries, and maps left unfused.

Every clustering takes frame queries (B, T, Q, C) and the sentence (B, C) to video queries (B, Q, C), of which slot q is
added to slot q of each frame. The papers' text on these variants is short, so each says here what it is.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runners.networks.attention.post_norm import PostNormFeedForward, SelfAttention
from runners.networks.soc.object_clusters import ObjectClusters
from runners.networks.soc.types import Clustering, SOCConfig

_ITERATIONS = 3
_KERNEL = 3


class MultiplicativeFusion(nn.Module):
    """The input times what it attends to: no residual, no norm, no dropout."""

    def __init__(self, channels: int = 256, heads: int = 8) -> None:
        super().__init__()
        self.multihead_attn = nn.MultiheadAttention(channels, heads, batch_first=True)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Return query * attention, (B, Lq, C).

        The key (B, Lk, C) has its position, query and value have none; the mask is bool (B, Lk), true = padding.
        """
        attended: Tensor = self.multihead_attn(query, key, value, key_padding_mask=padding_mask, need_weights=False)[0]
        return query * attended


class Unfused(nn.Module):
    """Stands where a fusion stood and gives what asks, as it came; no parameters."""

    def forward(self, query: Tensor, key: Tensor, value: Tensor, padding_mask: Tensor | None = None) -> Tensor:
        """Return the query (B, Lq, C)."""
        return query


class Unclustered(nn.Module):
    """No video queries: zeros, so that frames stay on their own; the contrastive loss then reads the frame queries."""

    def forward(self, frame_queries: Tensor, sentence: Tensor) -> Tensor:
        """Return zeros (B, Q, C)."""
        return torch.zeros_like(frame_queries[:, 0])


class Average(nn.Module):
    """The mean of each slot over the frames."""

    def forward(self, frame_queries: Tensor, sentence: Tensor) -> Tensor:
        """Return (B, Q, C)."""
        return frame_queries.mean(1)


class KMeans(nn.Module):
    """Centres of Lloyd's algorithm over the queries of all frames; the start is each slot's mean, so slots keep place.

    Which query belongs to which centre is decided without gradients; they pass through the means of the members.
    """

    def forward(self, frame_queries: Tensor, sentence: Tensor) -> Tensor:
        """Return (B, Q, C)."""
        # (B, T, Q, C) -> (B, T * Q, C)
        tokens, centres = frame_queries.flatten(1, 2), frame_queries.mean(1)
        for _ in range(_ITERATIONS):
            nearest = torch.cdist(tokens.detach().float(), centres.detach().float()).argmin(-1)
            # (B, T * Q) -> (B, Q, T * Q), 1 where a query is a member
            members = F.one_hot(nearest, centres.shape[1]).transpose(1, 2).to(tokens.dtype)
            count = members.sum(-1, keepdim=True)
            # A centre that nothing is nearest to stays where it is.
            centres = torch.where(count > 0, members @ tokens / count.clamp(min=1), centres)
        return centres


class TimeConvolution(nn.Module):
    """A convolution over the frames of each slot, ReLU, and the mean over time; unlike the rest it knows the order."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(channels, channels, _KERNEL, padding=_KERNEL // 2)

    def forward(self, frame_queries: Tensor, sentence: Tensor) -> Tensor:
        """Return (B, Q, C)."""
        clips, _, queries, channels = frame_queries.shape
        # (B, T, Q, C) -> (B * Q, C, T) and back
        slots = frame_queries.permute(0, 2, 3, 1).reshape(clips * queries, channels, -1)
        means: Tensor = self.convolution(slots).relu().mean(-1)
        return means.reshape(clips, queries, channels)


class ClusterEncoder(nn.Module):
    """The encoder of the clip-level transformer alone: the queries of all frames see each other, then their mean."""

    def __init__(self, config: SOCConfig) -> None:
        super().__init__()
        channels, layers = config.channels, config.voc_encoder_layers
        self.enc_self_attn = nn.ModuleList(SelfAttention(channels, config.heads, config.dropout) for _ in range(layers))
        self.enc_ffn = nn.ModuleList(
            PostNormFeedForward(channels, config.feedforward, config.dropout) for _ in range(layers)
        )
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def forward(self, frame_queries: Tensor, sentence: Tensor) -> Tensor:
        """Return (B, Q, C)."""
        tokens = frame_queries.flatten(1, 2)
        for attention, feed_forward in zip(self.enc_self_attn, self.enc_ffn, strict=True):
            tokens = feed_forward(attention(tokens))
        return tokens.reshape(frame_queries.shape).mean(1)


def _transformer(config: SOCConfig, *, encoder_layers: int) -> ObjectClusters:
    return ObjectClusters(
        config.channels,
        heads=config.heads,
        feedforward=config.feedforward,
        encoder_layers=encoder_layers,
        decoder_layers=config.voc_decoder_layers,
        queries=config.queries,
        dropout=config.dropout,
    )


_CLUSTERINGS: dict[Clustering, Callable[[SOCConfig], nn.Module]] = {
    "both": lambda config: _transformer(config, encoder_layers=config.voc_encoder_layers),
    "decoder": lambda config: _transformer(config, encoder_layers=0),
    "encoder": ClusterEncoder,
    "none": lambda config: Unclustered(),
    "kmeans": lambda config: KMeans(),
    "convolution": lambda config: TimeConvolution(config.channels),
    "average": lambda config: Average(),
}


def build_clustering(config: SOCConfig) -> nn.Module:
    """Return what makes video queries of frame queries; `both` is the official clip-level transformer."""
    return _CLUSTERINGS[config.clustering](config)


def build_fusions(config: SOCConfig) -> tuple[nn.Module, nn.Module]:
    """Return the fusion of the maps with the words, and of the words with the maps."""
    kept = {"both": (True, True), "l2v": (True, False), "v2l": (False, True), "none": (False, False)}[config.fusion]
    pixels, words = (MultiplicativeFusion(config.channels, config.heads) if is_kept else Unfused() for is_kept in kept)
    return pixels, words
