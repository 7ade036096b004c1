"""Structured backgrounds in muted colours: walls, floors, fields."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

_PATTERNS = ("plain", "tiles", "bricks", "planks", "hills", "chequer")


def draw_background(random: np.random.Generator, size: tuple[int, int]) -> Floats:
    """Return a background `(H, W, 3)`, values about 40 to 200, little saturated."""
    base = random.uniform(80, 150) + random.uniform(-18, 18, 3)
    relief = 26 * _noise(random, size, (5, 8)) + 12 * _noise(random, size, (20, 32))
    brightness = relief + _pattern(str(random.choice(_PATTERNS)), random, size)
    tint = random.uniform(-14, 14, 3).astype(np.float32) * _noise(random, size, (4, 6))[..., None]
    return np.asarray(base.astype(np.float32) + brightness[..., None] + tint, dtype=np.float32)


def _noise(random: np.random.Generator, size: tuple[int, int], cells: tuple[int, int]) -> Floats:
    """Return smooth noise in [-1, 1]: random values on a grid, joined linearly."""
    grid = random.uniform(-1, 1, (cells[0] + 1, cells[1] + 1)).astype(np.float32)
    down, across = (np.arange(n, dtype=np.float32) * np.float32(c / n) for n, c in zip(size, cells, strict=True))
    rows, columns = down.astype(np.int64), across.astype(np.int64)
    y, x = (down - rows)[:, None], (across - columns)[None]
    upper = grid[rows][:, columns] * (1 - x) + grid[rows][:, columns + 1] * x
    lower = grid[rows + 1][:, columns] * (1 - x) + grid[rows + 1][:, columns + 1] * x
    return np.asarray(upper * (1 - y) + lower * y, dtype=np.float32)


def _pattern(name: str, random: np.random.Generator, size: tuple[int, int]) -> Floats:
    """Return the brightness that a regular structure adds, `(H, W)`."""
    rows, columns = np.arange(size[0])[:, None], np.arange(size[1])[None]
    step = int(random.integers(18, 40))
    contrast = float(random.uniform(12, 26))
    if name == "tiles":
        joints = (rows % step < 2) | (columns % step < 2)
    elif name == "bricks":
        course = rows // (step // 2)
        joints = (rows % (step // 2) < 2) | ((columns + (course % 2) * (step // 2)) % step < 2)
    elif name == "chequer":
        joints = ((rows // step) + (columns // step)) % 2 == 0
    elif name == "planks":
        shades = random.uniform(-1, 1, size[1] // step + 1).astype(np.float32)
        return np.asarray(np.broadcast_to(shades[columns // step] * contrast, size), dtype=np.float32)
    elif name == "hills":
        horizon = size[0] * random.uniform(0.35, 0.65) + 12 * _noise(random, (1, size[1]), (1, 6))
        joints = rows > horizon
    else:
        joints = np.zeros(size, dtype=np.bool_)
    return np.asarray(-contrast * np.broadcast_to(joints, size), dtype=np.float32)
