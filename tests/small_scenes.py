"""Hand-made scenes for tests of sentences: every answer is known."""

from __future__ import annotations

import numpy as np

from rvos_fusion.synthetic.appearance import Look
from rvos_fusion.synthetic.motion import Path
from rvos_fusion.synthetic.scenes import Scene, Thing

N_FRAMES = 8
BALL = Look("circle", "red", "plain", "medium")


def thing(look: Look, x: float, y: float, *, motion: str = "still", radius: float = 15.0) -> Thing:
    time = np.linspace(0, 1, N_FRAMES)
    moves = {"left": -60.0, "right": 60.0}.get(motion, 0.0)
    centres = np.stack([x + moves * time, np.full(N_FRAMES, y)], axis=1)
    return Thing(look, motion, Path(centres, np.full(N_FRAMES, radius), np.zeros(N_FRAMES)))


def scene(*things: Thing) -> Scene:
    return Scene(things, np.zeros((N_FRAMES, 2), dtype=np.int64), None)
