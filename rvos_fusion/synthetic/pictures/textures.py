"""Surface patterns: how much of the second tone shows, 0 to 1."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_STRIPES = np.float32(1.9)
_CELLS = np.float32(1.6)
_SHARPNESS = np.float32(8)


def tone(texture: str, u: Floats, v: Floats) -> Floats:
    """Return the share of the second tone at local coordinates (unit = radius)."""
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
