"""SOC's clip-level transformer: the queries of all frames are gathered in one set of video queries."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from runners.networks.attention.post_norm import ClipTransformer


class ObjectClusters(ClipTransformer):
    """Video Object Cluster (VOC) of Q queries; it has no notion of time. Source: soc.md, section 2.5."""

    def __init__(self, channels: int, *, queries: int, **layers: Any) -> None:
        super().__init__(channels, **layers)
        self.fq_pos = nn.Embedding(queries, channels)
        self.query_embed = nn.Embedding(queries, channels)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Xavier for matrices, a normal distribution for the embeddings."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)
        for embedding in (self.fq_pos, self.query_embed):
            nn.init.normal_(embedding.weight)

    def forward(self, frame_queries: Tensor, sentence: Tensor) -> Tensor:
        """Return video queries (B, Q, C) of frame queries (B, T, Q, C); each starts with the sentence (B, C)."""
        frames = frame_queries.shape[1]
        # (B, T, Q, C) -> (B, T * Q, C): all frames see each other, without any position
        tokens = frame_queries.flatten(1, 2)
        for attention, feed_forward in zip(self.enc_self_attn, self.enc_ffn, strict=True):
            tokens = feed_forward(attention(tokens))
        # The key position tells the slot of a frame query, never its time.
        keys = tokens + self.fq_pos.weight.repeat(frames, 1)
        position = self.query_embed.weight
        # (B, C) -> (B, Q, C): slots start alike, `query_embed` tells them apart
        queries = sentence[:, None].expand(-1, len(position), -1)
        return self.read(queries, position, keys, tokens)
