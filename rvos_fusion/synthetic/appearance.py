"""What synthetic things look like, and how many in a video look alike."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

SHAPES = ("circle", "square", "triangle", "star", "ring", "cross", "moon")
COLOURS = ("red", "green", "blue", "yellow", "purple", "orange", "pink", "white")
TEXTURES = ("plain", "striped", "dotted", "checkered")
SIZES = ("small", "medium", "big")
RADII = {"small": (10.5, 12.5), "medium": (15.0, 18.0), "big": (21.0, 25.0)}
"""Ranges of the radius in pixels; the gaps between them keep the words true."""

_TWINS = (1, 2, 3)
_TWIN_CHANCES = (0.5, 0.45, 0.05)
_TEXTURE_CHANCES = (0.4, 0.2, 0.2, 0.2)
_SIZE_CHANCES = (0.25, 0.45, 0.3)
_SAME_SHAPE, _SAME_COLOUR = 0.4, 0.7


@dataclass(frozen=True, slots=True)
class Look:
    """What an expression can name of a thing's appearance."""

    shape: str
    colour: str
    texture: str
    size: str


def sample_looks(random: np.random.Generator, n_things: int) -> list[Look]:
    """Return the looks of a video: some identical twins, then things of the same shape or the same colour."""
    first = _sample_look(random)
    twins = min(int(random.choice(_TWINS, p=_TWIN_CHANCES)), n_things)
    looks = [first] * twins
    while len(looks) < n_things:
        # A distractor shares the shape, the colour or neither.
        candidate, draw = _sample_look(random), random.random()
        if draw < _SAME_SHAPE:
            candidate = replace(candidate, shape=first.shape)
        elif draw < _SAME_COLOUR:
            candidate = replace(candidate, colour=first.colour)
        if candidate not in looks:
            looks.append(candidate)
    return looks


def _sample_look(random: np.random.Generator) -> Look:
    return Look(
        shape=str(random.choice(SHAPES)),
        colour=str(random.choice(COLOURS)),
        texture=str(random.choice(TEXTURES, p=_TEXTURE_CHANCES)),
        size=str(random.choice(SIZES, p=_SIZE_CHANCES)),
    )
