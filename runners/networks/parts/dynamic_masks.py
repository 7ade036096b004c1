"""Masks from filters that the network predicts for every query: three 1x1 convolutions and relative coordinates."""

from __future__ import annotations

import torch
from torch import Tensor

_LAYERS = 3
COORDINATES = 2


def count_parameters(feature_channels: int, channels: int = 8) -> int:
    """Return how many numbers the controller gives for a query."""
    weights = channels * (feature_channels + COORDINATES) + channels * channels + channels
    return weights + 2 * channels + 1


def split_filters(filters: Tensor, feature_channels: int, channels: int) -> tuple[list[Tensor], list[Tensor]]:
    """Return the three weights (..., out, in) and the three biases (..., out, 1) in (..., count_parameters)."""
    sizes = [(channels, feature_channels + COORDINATES), (channels, channels), (1, channels)]
    parts = filters.split_with_sizes([out * into for out, into in sizes] + [out for out, _ in sizes], dim=-1)
    weights = [part.reshape(*part.shape[:-1], *size) for part, size in zip(parts[:_LAYERS], sizes, strict=True)]
    return weights, [part[..., None] for part in parts[_LAYERS:]]


def _relative_terms(
    weight: Tensor, references: Tensor, image_sizes: Tensor, shape: tuple[int, int], stride: int
) -> Tensor:
    """Return what the two coordinate channels add to the first convolution, (N, Q, channels, h, w)."""
    # (N, Q, 2) as (x, y) in pixels of the unpadded input; sizes are (height, width), hence the flip
    points = references * image_sizes.flip(-1)[:, None]
    height, width = shape
    # Distances stay in pixels: scaled ones would need other weights in every released file.
    centres = [
        torch.arange(size, device=points.device, dtype=points.dtype) * stride + stride // 2 for size in (width, height)
    ]
    # A linear layer of (x - column, y - row) is a sum of a row and a column vector, (N, Q, channels, w) and (.., h):
    # the coordinate maps themselves are never made.
    across = weight[..., 0, None] * (points[..., 0, None] - centres[0])[:, :, None]
    down = weight[..., 1, None] * (points[..., 1, None] - centres[1])[:, :, None]
    return across[..., None, :] + down[..., None]


def dynamic_masks(
    features: Tensor,
    filters: Tensor,
    references: Tensor,
    image_sizes: Tensor,
    *,
    channels: int = 8,
    stride: int = 4,
) -> Tensor:
    """Return the mask logits (N, Q, h, w) of a chosen set of queries. Source: CondInst, with distances in pixels.

    Args:
        features: (N, C, h, w) mask features of every frame.
        filters: (N, Q, count_parameters(C, channels)): weights of the three layers, then their biases.
        references: (N, Q, 2) as (x, y), [0, 1] over the unpadded input.
        image_sizes: (N, 2) unpadded (height, width) of the network input in pixels.
        channels: of the two hidden layers.
        stride: input pixels per feature pixel.
    """
    images, queries = filters.shape[:2]
    depth, shape = features.shape[1], (features.shape[2], features.shape[3])
    weights, biases = split_filters(filters, depth, channels)
    # One product for the filters of all queries: features are never copied for a query.
    # (N, Q * channels, C) @ (N, C, h * w) -> (N, Q, channels, h * w)
    hidden = (weights[0][..., :depth].flatten(1, 2) @ features.flatten(2)).reshape(images, queries, channels, -1)
    relative = _relative_terms(weights[0][..., depth:], references, image_sizes.to(references.dtype), shape, stride)
    hidden = (hidden + relative.flatten(3).to(hidden.dtype) + biases[0]).relu()
    # Each query has its own small layers from here on: (N, Q, channels, channels) @ (N, Q, channels, h * w)
    hidden = (weights[1] @ hidden + biases[1]).relu()
    return (weights[2] @ hidden + biases[2]).reshape(images, queries, *shape)
