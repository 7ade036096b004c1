"""What ReferFormer and MUTR pass between their stages."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runners.networks.parts.dynamic_masks import dynamic_masks
from runners.networks.parts.pyramid import PyramidLevel


@dataclass(frozen=True, slots=True, eq=False)
class VisualFeatures:
    """Everything of B clips of T frames that does not depend on an expression.

    Args:
        clips: B; 1 where several expressions of one video share it.
        frames: T.
        sizes: `(B, 2)` unpadded (height, width) of the network input, pixels.
        projected: maps of strides 8, 16, 32, 64, projected to the network's width.
        padding_masks: `(B * T, h, w)` bool of those, true = padding.
        finest: the backbone's stride-4 map.
        tokens: `(B, T * h * w, C)` stride-4 pixels up to their first use of the words.
    """

    clips: int
    frames: int
    sizes: Tensor
    projected: tuple[PyramidLevel, ...]
    padding_masks: tuple[Tensor, ...]
    finest: PyramidLevel
    tokens: Tensor

    @property
    def finest_size(self) -> tuple[int, int]:
        """(h, w) at stride 4."""
        return self.finest.map.shape[-2], self.finest.map.shape[-1]


@dataclass(frozen=True, slots=True, eq=False)
class HeadStates:
    """What the class, box and filter heads read.

    Args:
        states: `(layers, E, T or 1, Q, C)`; 1 where they are the same in every frame.
        layers: the decoder layer that each entry belongs to.
    """

    states: Tensor
    layers: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """All predictions of B clips; the first axis is the decoder layers that have heads, the last one decides.

    Args:
        logits: `(layers, B, T, Q, classes)`.
        boxes: `(layers, B, T, Q, 4)` centre x, centre y, width, height in [0, 1] of the unpadded frame.
        masks: `(layers, B, T, Q, h, w)` logits at stride 4.
    """

    logits: Tensor
    boxes: Tensor
    masks: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """The masks of each of E expressions.

    Args:
        scores: `(E, T)` how sure they are in every frame.
        masks: `(E, T, h, w)` logits at stride 4.
    """

    scores: Tensor
    masks: Tensor


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Selection(Drawn):
    """The chosen query of each of E expressions; a score is its probability.

    Args:
        query: `(E,)` int64.
        boxes: `(E, T, 4)` as in `Predictions`.
    """

    query: Tensor
    boxes: Tensor


def select_query(values: Tensor, query: Tensor) -> Tensor:
    """Return `(E, T, ...)`: of values `(E, T, Q, ...)` those of one query for each expression."""
    # (E,) -> (E, 1, 1, ...), broadcast over T and all that follows Q
    index = query.view(-1, 1, 1, *([1] * (values.ndim - 3)))
    return values.take_along_dim(index, 2).squeeze(2)


def draw_masks(
    features: Tensor,
    convolution: nn.Conv2d,
    filters: Tensor,
    references: Tensor,
    sizes: Tensor,
    *,
    channels: int,
) -> Tensor:
    """Return mask logits `(N, h, w)` of one query a frame, without forming the mask features.

    Their convolution and the first dynamic layer, with nothing between, become one convolution to a handful of
    channels.

    Args:
        features: `(N, C, h, w)` input of the mask-feature `convolution`, 3x3.
        filters: `(N, parameters)`, laid out as `dynamic_masks` takes them.
        references: `(N, 2)` in [0, 1].
        sizes: `(N, 2)` unpadded (height, width) of the network input.
        channels: of the hidden dynamic layers.
    """
    weight, bias = convolution.weight, convolution.bias
    assert bias is not None
    # Weights of the first layer, (channels, mask_dim + 2), stand in front of all other numbers.
    first, rest = filters.tensor_split([channels * (len(weight) + 2)], 1)
    # (N, channels, mask_dim + 2); the last two columns are for the coordinates
    first = torch.unflatten(first, 1, (channels, -1))
    # (N, channels, mask_dim) with (mask_dim, C, 3, 3) -> one 3x3 kernel (channels, C, 3, 3) a frame
    kernels = torch.einsum("nkm,mcij->nkcij", first[..., :-2], weight)
    offsets = first[..., :-2] @ bias
    hidden = torch.cat([F.conv2d(features[n : n + 1], kernels[n], offsets[n], padding=1) for n in range(len(features))])
    # What is left of the first layer: pass the features on, and add the coordinates.
    identity = torch.eye(channels, dtype=filters.dtype, device=filters.device).expand(len(filters), -1, -1)
    passed = torch.cat((torch.cat((identity, first[..., -2:]), 2).flatten(1), rest), 1)
    return dynamic_masks(hidden, passed[:, None], references[:, None], sizes, channels=channels)[:, 0]
