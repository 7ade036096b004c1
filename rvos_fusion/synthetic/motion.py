"""How synthetic things move: paths on the screen, and what may truly be said of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos_fusion.synthetic.appearance import Look

FRAME_SIZE = (128, 224)
CAMERA_REACH = 18
"""Pixels that the camera moves at most from where it starts."""

_LEAST_JUMP, _MOST_JUMP = (24, 8), (46, 19)
"""Pixels to the side and up or down."""

SAYABLE: dict[str, frozenset[str]] = {
    **{
        name: frozenset({name})
        for name in ("still", "left", "right", "up", "down", "swing", "round", "grow", "shrink", "spin")
    },
    "leave-left": frozenset({"leave", "left"}),
    "leave-right": frozenset({"leave", "right"}),
    "enter-left": frozenset({"enter", "right"}),
    "enter-right": frozenset({"enter", "left"}),
    "return-left": frozenset({"return"}),
    "return-right": frozenset({"return"}),
}
"""What is said of each motion."""

_ALSO_HOLDS = {
    **dict.fromkeys(("grow", "shrink", "spin"), frozenset({"still"})),
    **dict.fromkeys(("return-left", "return-right"), frozenset({"leave", "enter", "left", "right"})),
}
_WEIGHTS = {
    "still": 2.0, "left": 2.0, "right": 2.0, "up": 1.2, "down": 1.2, "swing": 1.2, "round": 1.2,
    "grow": 1.2, "shrink": 1.2, "spin": 1.2, "leave-left": 0.5, "leave-right": 0.5,
    "enter-left": 0.35, "enter-right": 0.35, "return-left": 0.4, "return-right": 0.4,
}  # fmt: skip
_TURNING_SHAPES = ("square", "triangle", "star", "cross", "moon")
_TURNING_TEXTURES = ("striped", "checkered")


def holds(motion: str) -> frozenset[str]:
    """Return all that holds, in a wide sense, of a motion; what is said of one thing may not hold of another."""
    return SAYABLE[motion] | _ALSO_HOLDS.get(motion, frozenset())


def leaves_view(motion: str) -> bool:
    """Whether the thing is out of view for a part of the video."""
    return motion.partition("-")[0] in ("leave", "enter", "return")


def sample_motion(random: np.random.Generator, look: Look, taken: frozenset[str]) -> str:
    """Return a motion that is not in `taken` and that can be seen on this look."""
    turning = look.shape in _TURNING_SHAPES or look.texture in _TURNING_TEXTURES
    names = [name for name in _WEIGHTS if name not in taken and (name != "spin" or turning)]
    weights = np.array([_WEIGHTS[name] for name in names])
    return str(random.choice(names, p=weights / weights.sum()))


@dataclass(frozen=True, slots=True, eq=False)
class Path:
    """Where a thing is, float64: centres `(T, 2)` x and y in pixels, radii `(T,)` in pixels, angles in radians."""

    centres: NDArray[np.float64]
    radii: NDArray[np.float64]
    angles: NDArray[np.float64]


def sample_camera(random: np.random.Generator, n_frames: int) -> NDArray[np.int64]:
    """Return the camera's offsets `(T, 2)` in whole pixels: still, panning or swaying."""
    kind = random.choice(("still", "pan", "sway"), p=(0.4, 0.4, 0.2))
    reach = random.uniform(0.4, 1.0) * CAMERA_REACH
    heading = random.uniform(0, 2 * math.pi)
    time = np.linspace(0, 1, n_frames)
    amount = {"still": 0 * time, "pan": time, "sway": _waves(0.5 * time)}[str(kind)] * reach
    offsets = np.stack([amount * math.cos(heading), 0.5 * amount * math.sin(heading)], axis=1)
    return np.rint(offsets).astype(np.int64)


def sample_cut(random: np.random.Generator, camera: NDArray[np.int64]) -> int:
    """Let the camera stand elsewhere from a frame of the middle third on, and return the frame."""
    cut = int(random.integers(len(camera) // 3, len(camera) - len(camera) // 3))
    camera[cut:] += random.choice((-1, 1), 2) * random.integers(_LEAST_JUMP, _MOST_JUMP)
    return cut


def sample_path(random: np.random.Generator, motion: str, radius: float, camera: NDArray[np.int64]) -> Path:
    """Return a path on the screen for one motion in the world; whether it stays in view is checked elsewhere."""
    n_frames = len(camera)
    time = np.linspace(0, 1, n_frames)
    height, width = FRAME_SIZE
    start = np.array([random.uniform(radius + 4, width - radius - 4), random.uniform(radius + 3, height - radius - 3)])
    moves = _displacement(random, motion, start, radius, time)
    tilt = math.radians(random.uniform(-12, 12))
    step = math.radians(random.uniform(19, 27)) * (1 if random.random() < 0.5 else -1)
    angles = tilt + np.arange(n_frames, dtype=np.float64) * (step if motion == "spin" else 0.0)
    growth = {"grow": 0.7 + 0.65 * time, "shrink": 1.35 - 0.65 * time}.get(motion, np.ones_like(time))
    return Path(start + moves - camera, radius * growth, np.asarray(angles, dtype=np.float64))


def _displacement(
    random: np.random.Generator, motion: str, start: NDArray[np.float64], radius: float, time: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the moves `(T, 2)` in the world from `start`."""
    moves = np.zeros((len(time), 2))
    kind, _, side = motion.partition("-")
    if kind in ("left", "right"):
        moves[:, 0] = time * random.uniform(55, 105) * (-1 if kind == "left" else 1)
    elif kind in ("up", "down"):
        moves[:, 1] = time * random.uniform(42, 66) * (-1 if kind == "up" else 1)
    elif kind == "swing":
        axis = int(random.random() < 0.35)
        moves[:, axis] = _waves(random.uniform(1.0, 1.5) * time) * random.uniform(16, 26)
    elif kind == "round":
        reach, turn = random.uniform(14, 20), 1 if random.random() < 0.5 else -1
        moves[:, 0] = reach * _waves(turn * 1.1 * time)
        moves[:, 1] = reach * (1 - _waves(1.1 * time + 0.25))
    elif side:
        # Far enough to be out of view whatever the camera does.
        beyond = 1.25 * radius + CAMERA_REACH + 3
        way_out = -(start[0] + beyond) if side == "left" else FRAME_SIZE[1] - start[0] + beyond
        moves[:, 0] = _absence(random, kind, time) * way_out
    return moves


def _absence(random: np.random.Generator, kind: str, time: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far out a thing is, 0 (where it starts or ends) to 1 (out of view)."""
    rest = random.uniform(0.1, 0.2)
    if kind == "return":
        rise = np.clip(time / 0.42, 0, 1)
        return np.minimum(rise, np.clip((1 - time) / 0.42, 0, 1))
    out = np.clip(time / (0.9 - rest), 0, 1)
    return out if kind == "leave" else out[::-1]


def _waves(turns: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return sines of whole turns; the scalar function is the same on every processor."""
    return np.array([math.sin(2 * math.pi * float(turn)) for turn in turns])
