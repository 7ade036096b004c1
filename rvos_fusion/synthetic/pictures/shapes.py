"""The shapes, as functions that are positive inside and fall off by one per radius outwards."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.floating[Any]]


def inside(shape: str, u: NDArray[np.float32], v: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return about the distance to the outline in units of the radius, positive inside.

    Args:
        shape: one of `rvos_fusion.synthetic.appearance.SHAPES`.
        u, v: rightward and downward coordinates of the thing itself, unit = radius.
    """
    return np.asarray(_SHAPES[shape](u, v), dtype=np.float32)


def _circle(u: Floats, v: Floats) -> Floats:
    return np.asarray(1 - _length(u, v))


def _square(u: Floats, v: Floats) -> Floats:
    return np.asarray(np.float32(0.86) - np.maximum(np.abs(u), np.abs(v)))


def _triangle(u: Floats, v: Floats) -> Floats:
    return np.asarray(_sides(u, v - np.float32(0.2), 3, np.float32(0.62))[0])


def _star(u: Floats, v: Floats) -> Floats:
    # Inside a five-pointed star at most one of the five lines through its tips is crossed.
    return np.asarray(np.sort(_sides(u, v, 5, np.float32(0.44)), axis=0)[1])


def _ring(u: Floats, v: Floats) -> Floats:
    distance = _length(u, v)
    return np.asarray(np.minimum(1 - distance, distance - np.float32(0.5)))


def _cross(u: Floats, v: Floats) -> Floats:
    across, down = np.abs(u), np.abs(v)
    width = np.float32(0.36)
    return np.asarray(np.maximum(np.minimum(1 - across, width - down), np.minimum(width - across, 1 - down)))


def _moon(u: Floats, v: Floats) -> Floats:
    return np.asarray(np.minimum(1 - _length(u, v), _length(u - np.float32(0.55), v) - np.float32(0.72)))


def _length(u: Floats, v: Floats) -> Floats:
    return np.asarray(np.sqrt(u * u + v * v))


def _sides(u: Floats, v: Floats, n_sides: int, reach: np.float32) -> Floats:
    """Return the distance to the lines around a regular polygon, `(n_sides, ...)`, least first for convex ones."""
    angles = [math.pi / 2 + 2 * math.pi * side / n_sides for side in range(n_sides)]
    distances = [reach - np.float32(math.cos(a)) * u - np.float32(math.sin(a)) * v for a in angles]
    if n_sides == 3:
        return np.asarray(np.minimum.reduce(distances))[None]
    return np.stack(distances)


_SHAPES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "ring": _ring,
    "cross": _cross,
    "moon": _moon,
}
