"""The fixed sine encoding of the grid."""

from __future__ import annotations

import math
from functools import lru_cache

import torch
from torch import Tensor

_TEMPERATURE = 10000.0
_EPSILON = 1e-6


@lru_cache(maxsize=8)
def sine_positions(height: int, width: int, channels: int, device: torch.device) -> Tensor:
    """Return the encoding (1, height*width, channels): y, then x; indices from 0, normalised by the last one."""
    # A tensor made under inference mode could not be used in training later.
    with torch.inference_mode(False), torch.no_grad():
        half = channels // 2
        rows = _axis_features(height, half, device)[:, None].expand(height, width, half)
        columns = _axis_features(width, half, device)[None].expand(height, width, half)
        return torch.cat([rows, columns], dim=2).flatten(0, 1)[None]


def _axis_features(length: int, features: int, device: torch.device) -> Tensor:
    """Return (length, features)."""
    index = torch.arange(length, device=device, dtype=torch.float32)
    # Other numbers than in the referring networks, where pixels count from a half.
    angle = index / (length - 1 + _EPSILON) * (2 * math.pi)
    exponent = 2 * torch.div(torch.arange(features, device=device), 2, rounding_mode="floor") / features
    phase = angle[:, None] / _TEMPERATURE**exponent
    return torch.stack([phase[:, 0::2].sin(), phase[:, 1::2].cos()], dim=2).flatten(1)
