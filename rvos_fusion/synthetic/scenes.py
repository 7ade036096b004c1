"""Scenes: which things a synthetic video shows, where they go, and what hides them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos_fusion.synthetic.appearance import RADII, Look, sample_looks
from rvos_fusion.synthetic.motion import (
    FRAME_SIZE,
    Path,
    leaves_view,
    sample_camera,
    sample_cut,
    sample_motion,
    sample_path,
)

_N_THINGS = (3, 4, 5, 6)
_N_THINGS_CHANCES = (0.55, 0.3, 0.1, 0.05)
_FEWEST_FRAMES, _MOST_FRAMES = 8, 16
_LAYOUTS = 60
_HIDDEN_SHARE = 0.35
_PILLAR_CHANCE = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Thing:
    """One object of a scene."""

    look: Look
    motion: str
    path: Path


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Everything that is drawn and talked about.

    Args:
        things: from the farthest to the nearest; nearer ones hide farther ones.
        camera: `(T, 2)` whole pixels.
        pillar: left edge and width, in pixels at camera offset 0, of a bar in front of everything; or None.
        cut: first frame of the second shot, with the camera elsewhere and another background; 0: one shot.
    """

    things: tuple[Thing, ...]
    camera: NDArray[np.int64]
    pillar: tuple[int, int] | None
    cut: int = 0


def sample_scene(random: np.random.Generator, *, has_cut: bool = False) -> Scene | None:
    """Return a scene in which every thing can be seen, or None when no layout was found."""
    n_things = int(random.choice(_N_THINGS, p=_N_THINGS_CHANCES))
    camera = sample_camera(random, int(random.integers(_FEWEST_FRAMES, _MOST_FRAMES + 1)))
    cut = sample_cut(random, camera) if has_cut else 0
    looks = sample_looks(random, n_things)
    motions: list[str] = []
    for position, look in enumerate(looks):
        # Identical looks never share a motion.
        taken = frozenset(motions[i] for i in range(position) if looks[i] == look)
        motions.append(sample_motion(random, look, taken))
    things: list[Thing] = []
    for look, motion in zip(looks, motions, strict=True):
        radius = float(random.uniform(*RADII[look.size]))
        path = _find_path(random, motion, radius, camera, [thing.path for thing in things])
        if path is None:
            return None
        things.append(Thing(look, motion, path))
    order = random.permutation(n_things)
    pillar = None
    if random.random() < _PILLAR_CHANCE:
        pillar = (int(random.integers(30, FRAME_SIZE[1] - 50)), int(random.integers(10, 17)))
    return Scene(tuple(things[i] for i in order), camera, pillar, cut)


def _find_path(
    random: np.random.Generator,
    motion: str,
    radius: float,
    camera: NDArray[np.int64],
    others: Sequence[Path],
) -> Path | None:
    height, width = FRAME_SIZE
    for _ in range(_LAYOUTS):
        path = sample_path(random, motion, radius, camera)
        # At least about four fifths of the thing are in view in every frame.
        room = 0.6 * path.radii[:, None]
        stays = np.all(path.centres >= room) and np.all(path.centres <= np.array([width, height]) - room)
        if (stays or leaves_view(motion)) and not any(_collides(path, other) for other in others):
            return path
    return None


def _collides(path: Path, other: Path) -> bool:
    """Whether two things overlap by much in more than a third of the frames."""
    gap = path.centres - other.centres
    distance = np.sqrt(gap[:, 0] ** 2 + gap[:, 1] ** 2)
    overlaps = distance < 0.8 * (path.radii + other.radii)
    return bool(overlaps.mean() > _HIDDEN_SHARE)
