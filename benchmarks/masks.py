"""Masks to measure on: moving objects with rough outlines, as several members see them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]
HEIGHT, WIDTH = 720, 1280


def draw_object(n_frames: int, *, seed: int, member: int = 0) -> NDArray[np.float32]:
    """Return logits `(T, H, W)` float32 of one object; members differ in place and outline by a few pixels."""
    random = np.random.default_rng(seed)
    centre = random.uniform((200, 300), (520, 980))
    radii = random.uniform((80, 100), (200, 300))
    speed = random.uniform(-8, 8, 2)
    own = np.random.default_rng([seed, member])
    offset, phases = own.normal(0, 4, 2), own.uniform(0, 6.28, 4)
    frames = [_draw_frame(centre + offset + speed * t, radii * (1 + 0.01 * t), phases) for t in range(n_frames)]
    return np.stack(frames)


def _draw_frame(
    centre: NDArray[np.float64], radii: NDArray[np.float64], phases: NDArray[np.float64]
) -> NDArray[np.float32]:
    y = ((np.arange(HEIGHT) - centre[0]) / radii[0])[:, None]
    x = ((np.arange(WIDTH) - centre[1]) / radii[1])[None]
    angle = np.arctan2(y, x)
    rim = 1 + sum(0.06 / k * np.sin(angle * (3 * k + 2) + phase) for k, phase in enumerate(phases, start=1))
    logits = 8 * (rim - np.hypot(y, x))
    return np.asarray(logits, np.float32)
