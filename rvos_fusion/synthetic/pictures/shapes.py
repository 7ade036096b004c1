"""Shapes, as functions that are positive inside and fall off by one per radius outwards, and their surface patterns."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_STRIPES = np.float32(1.9)
_CELLS = np.float32(1.6)
_SHARPNESS = np.float32(8)


def inside(shape: str, u: Floats, v: Floats) -> Floats:
    """Return about the distance to the outline, positive inside, at right- and downward coordinates; unit = radius."""
    length, across, down = np.sqrt(u * u + v * v), np.abs(u), np.abs(v)
    if shape == "circle":
        depth = 1 - length
    elif shape == "square":
        depth = np.float32(0.86) - np.maximum(across, down)
    elif shape == "triangle":
        depth = np.minimum.reduce(_sides(u, v - np.float32(0.2), 3, np.float32(0.62)))
    elif shape == "star":
        # Inside a five-pointed star at most one of the five lines through its tips is crossed.
        depth = np.sort(np.stack(_sides(u, v, 5, np.float32(0.44))), axis=0)[1]
    elif shape == "ring":
        depth = np.minimum(1 - length, length - np.float32(0.5))
    elif shape == "cross":
        width = np.float32(0.36)
        depth = np.maximum(np.minimum(1 - across, width - down), np.minimum(width - across, 1 - down))
    else:
        aside = u - np.float32(0.55)
        depth = np.minimum(1 - length, np.sqrt(aside * aside + v * v) - np.float32(0.72))  # a moon
    return np.asarray(depth, dtype=np.float32)


def _sides(u: Floats, v: Floats, n_sides: int, reach: np.float32) -> list[Floats]:
    """Return the distance to each of the lines around a regular polygon."""
    angles = [math.pi / 2 + 2 * math.pi * side / n_sides for side in range(n_sides)]
    return [reach - np.float32(math.cos(a)) * u - np.float32(math.sin(a)) * v for a in angles]


def tone(texture: str, u: Floats, v: Floats) -> Floats:
    """Return how much of the second tone shows, 0 to 1, at local coordinates (unit = radius)."""
    if texture == "striped":
        return _edge(_triangle_wave(v * _STRIPES) - np.float32(0.5))
    if texture == "checkered":
        return _edge(
            (_triangle_wave(u * _CELLS) - np.float32(0.5)) * (_triangle_wave(v * _CELLS) - np.float32(0.5)) * 4
        )
    if texture == "dotted":
        across, down = _cell(u * _CELLS), _cell(v * _CELLS)
        return _edge(np.float32(0.3) - np.sqrt(across * across + down * down))
    return np.zeros_like(u)


def _triangle_wave(x: Floats) -> Floats:
    """Return a wave of period 1 between 0 and 1."""
    return np.asarray(np.abs(2 * (x - np.floor(x)) - 1), dtype=np.float32)


def _cell(x: Floats) -> Floats:
    """Return the offset from the middle of the unit cell, -0.5 to 0.5."""
    return np.asarray(x - np.floor(x) - np.float32(0.5), dtype=np.float32)


def _edge(x: Floats) -> Floats:
    return np.asarray(np.clip(x * _SHARPNESS + np.float32(0.5), 0, 1), dtype=np.float32)
