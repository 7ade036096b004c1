"""Sine position encodings, computed from padding masks in float32; no parameters."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_TEMPERATURE = 10000.0
_EPSILON = 1e-6
# Valid pixels count 0.5, 1.5, 2.5, ... here, where the encoding of DETR counts 1, 2, 3.
_HALF_PIXEL = 0.5


def interleaved_sine(coordinates: Tensor, channels: int) -> Tensor:
    """Return sin in even and cos in odd channels: (...) radians -> float32 (..., channels)."""
    index = torch.arange(channels, dtype=torch.float32, device=coordinates.device)
    # Two channels a wavelength, although the index runs over all channels: floor(i / 2).
    phases = coordinates[..., None] / (_TEMPERATURE ** (2 * torch.div(index, 2, rounding_mode="floor") / channels))
    # (..., channels / 2, 2) -> (..., channels): interleaved, not sines first and cosines after them
    return torch.stack((phases[..., 0::2].sin(), phases[..., 1::2].cos()), dim=-1).flatten(-2)


def sine_encoding_2d(padding_mask: Tensor, channels: int = 256) -> Tensor:
    """Return every pixel's encoding: bool (N, h, w), true = padding -> float32 (N, channels, h, w), rows first.

    `channels` is divisible by 4. Source: Deformable DETR's variant of the DETR encoding.
    """
    valid = (~padding_mask).float()
    # Rows before columns: axis 1 goes down, axis 2 to the right.
    halves = []
    for axis in (1, 2):
        count = valid.cumsum(axis)
        # The count at the end of the axis is the number of valid pixels, so that 2 pi is the valid part, not the padded
        # map.
        last = count.narrow(axis, count.shape[axis] - 1, 1)
        halves.append(interleaved_sine((count - _HALF_PIXEL) / (last + _EPSILON) * (2 * math.pi), channels // 2))
    # (N, h, w, channels) -> (N, channels, h, w)
    return torch.cat(halves, dim=-1).permute(0, 3, 1, 2).contiguous()


def sine_encoding_1d(padding_mask: Tensor, channels: int = 256) -> Tensor:
    """Return the encoding of every word: bool (B, L), true = padding -> float32 (B, L, channels)."""
    # Words count 1, 2, 3 without the half step of pixels: the official encodings differ in this.
    count = (~padding_mask).float().cumsum(1)
    return interleaved_sine(count / (count[:, -1:] + _EPSILON) * (2 * math.pi), channels)
