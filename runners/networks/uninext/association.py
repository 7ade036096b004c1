"""Same-object embeddings of queries, and the choice of one object's queries across frames."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from runners.networks.attention.deformable_transformer import Memory
from runners.networks.parts.heads import Perceptron
from runners.networks.uninext.config import UninextConfig
from runners.networks.uninext.transformer import RefiningDecoder


class AssociationDecoder(RefiningDecoder):
    """Decoder layers that look again at the memory; boxes stay where they are."""

    def __init__(self, config: UninextConfig) -> None:
        super().__init__(config, config.association_layers)

    def look(self, content: Tensor, boxes: Tensor, memory: Memory) -> Tensor:
        """Return new states `(N, Q, C)` of queries with boxes `(N, Q, 4)` in [0, 1]."""
        # (N, Q, 4) -> (N, Q, levels, 4) of each padded map
        scaled = boxes[:, :, None] * memory.valid_ratios.repeat(1, 1, 2)[:, None]
        position = self.position(scaled[:, :, 0])
        for layer in self.layers:
            content = layer(content, position, scaled, memory)
        return content


class AssociationHead(nn.ModuleList):
    """The decoder and the perceptron behind it, under the released names `0` and `1`.

    The names and shapes are the released ones; what the decoder is given (last states, last boxes) is the plain
    reading of them and was not compared with released outputs.
    """

    def __init__(self, config: UninextConfig) -> None:
        super().__init__([AssociationDecoder(config), Perceptron(*([config.width] * 4))])

    def forward(self, content: Tensor, boxes: Tensor, memory: Memory) -> Tensor:
        """Return the embeddings `(N, Q, C)` of queries; the same object has similar ones in all frames."""
        decoder, perceptron = self
        assert isinstance(decoder, AssociationDecoder)
        return perceptron(decoder.look(content, boxes, memory))


def follow(scores: NDArray[np.float32], embeddings: NDArray[np.float32]) -> NDArray[np.intp]:
    """Return which candidate of each frame shows the object of the best frame, `(T,)`.

    A candidate counts by the geometric mean of its score `(T, P)`, best first, and its embedding's similarity, (1 +
    cosine) / 2, to the best candidate of the frame with the highest score.
    """
    length = np.maximum(np.linalg.norm(embeddings, axis=-1, keepdims=True), np.finfo(np.float32).tiny)
    unit = embeddings / length
    # The surest frame speaks for the object: in others the best score may belong to a neighbour.
    anchor = unit[np.argmax(scores[:, 0]), 0]
    similarity = np.clip((1 + unit @ anchor) / 2, 0, 1)
    return np.asarray(np.argmax(np.sqrt(scores * similarity), axis=1))
