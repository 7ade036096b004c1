"""Drawing a scene: textured, shaded shapes on a structured background, with the exact index masks.

Array arithmetic is limited to sums, products, quotients, roots and comparisons, and the random draws
to NumPy's own generator, so that a seed gives the same bytes on every processor.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from rvos_fusion.synthetic.motion import FRAME_SIZE
from rvos_fusion.synthetic.pictures.backgrounds import draw_background
from rvos_fusion.synthetic.pictures.shapes import inside, tone
from rvos_fusion.synthetic.scenes import Scene, Thing

RGB = {
    "red": (212, 48, 44), "green": (52, 160, 62), "blue": (48, 88, 208), "yellow": (232, 206, 52),
    "purple": (142, 66, 178), "orange": (238, 132, 34), "pink": (240, 148, 188), "white": (232, 232, 230),
}  # fmt: skip
_LIGHT = (-0.5, -0.6, 0.62)
_NOISE = 2.5
_MARGIN = 40
"""Drawn around the frame; more than the camera moves, so that no edge of the scenery shows."""

Masks = NDArray[np.uint8]
Floats = NDArray[np.float32]


def draw(scene: Scene, random: np.random.Generator) -> tuple[NDArray[np.uint8], Masks]:
    """Return the frames `(T, H, W, 3)` and the index masks `(T, H, W)`: thing i has the value i + 1."""
    height, width = FRAME_SIZE
    scenery = draw_background(random, (height + 2 * _MARGIN, width + 2 * _MARGIN))
    canvas = np.empty((len(scene.camera), height + 2 * _MARGIN, width + 2 * _MARGIN, 3), dtype=np.float32)
    masks = np.zeros(canvas.shape[:3], dtype=np.uint8)
    offsets = scene.camera.copy()
    if scene.cut:
        offsets[scene.cut :] -= offsets[scene.cut]
    for frame, (x, y) in enumerate(offsets):
        if scene.cut and frame == scene.cut:
            scenery = draw_background(random, scenery.shape[:2])
        canvas[frame] = np.roll(scenery, (-int(y), -int(x)), axis=(0, 1))
    for index, thing in enumerate(scene.things, start=1):
        _paint(canvas, masks, thing, index, random)
    if scene.pillar:
        _paint_pillar(canvas, masks, scene, random)
    inner = (slice(None), slice(_MARGIN, _MARGIN + height), slice(_MARGIN, _MARGIN + width))
    # Sensor noise, and a slow change of brightness.
    noise = random.standard_normal((len(canvas), height, width, 1), dtype=np.float32) * np.float32(_NOISE)
    swing = random.uniform(0, 0.06)
    gains = np.array([1 + swing * math.sin(0.5 * t) for t in range(len(canvas))], dtype=np.float32)
    exposed = canvas[inner] * gains[:, None, None, None] + noise
    return np.clip(np.rint(exposed), 0, 255).astype(np.uint8), np.ascontiguousarray(masks[inner])


def _paint(canvas: Floats, masks: Masks, thing: Thing, index: int, random: np.random.Generator) -> None:
    """Put one thing on top of all frames; thing by thing, so that nearer ones hide farther ones."""
    path = thing.path
    anchors = np.floor(path.centres).astype(np.int64)
    reach = math.ceil(1.45 * float(path.radii.max())) + 2
    across, down = _local_coordinates(thing, anchors, reach)
    cosines = np.array([math.cos(float(angle)) for angle in path.angles], dtype=np.float32)[:, None, None]
    sines = np.array([math.sin(float(angle)) for angle in path.angles], dtype=np.float32)[:, None, None]
    u, v = cosines * across + sines * down, cosines * down - sines * across
    radii = path.radii.astype(np.float32)[:, None, None]
    depth = inside(thing.look.shape, u, v) * radii
    alpha = np.clip(depth + np.float32(0.5), 0, 1)
    colours = _colours(thing, (across, down), (u, v), depth, random)
    for frame, (x, y) in enumerate(anchors + _MARGIN):
        target, source = _windows(int(x), int(y), reach, canvas.shape[1:3])
        if target is None:
            continue
        share = alpha[frame][source][..., None]
        window = canvas[frame][target]
        window += share * (colours[frame][source] - window)
        masks[frame][target][alpha[frame][source] > 0.5] = index


def _local_coordinates(thing: Thing, anchors: NDArray[np.int64], reach: int) -> tuple[Floats, Floats]:
    """Return the offsets from the centre in units of the radius, each `(T, side, side)`."""
    steps = np.arange(-reach, reach + 1)
    offset = thing.path.centres - anchors
    across = (steps[None] - offset[:, :1]) / thing.path.radii[:, None]
    down = (steps[None] - offset[:, 1:]) / thing.path.radii[:, None]
    shape = (len(anchors), len(steps), len(steps))
    return (
        np.broadcast_to(across[:, None, :], shape).astype(np.float32),
        np.broadcast_to(down[:, :, None], shape).astype(np.float32),
    )


def _colours(
    thing: Thing,
    screen: tuple[Floats, Floats],
    local: tuple[Floats, Floats],
    depth: Floats,
    random: np.random.Generator,
) -> Floats:
    """Return the shaded colours `(T, side, side, 3)`, 0 to 255: light from the upper left, a dark rim."""
    tint = np.array(RGB[thing.look.colour], dtype=np.float32) + random.uniform(-10, 10, 3).astype(np.float32)
    across, down = screen
    bulge = np.sqrt(np.clip(1 - np.float32(0.8) * (across * across + down * down), 0, 1))
    lit = np.clip(across * np.float32(_LIGHT[0]) + down * np.float32(_LIGHT[1]) + bulge * np.float32(_LIGHT[2]), 0, 1)
    rim = np.clip(np.float32(0.5) + depth * np.float32(0.3), 0, 1)
    shade = (np.float32(0.62) + np.float32(0.45) * lit) * rim
    painted = tone(thing.look.texture, *local)
    # Light marks on dark colours, dark marks on light ones: both keep the colour's name true.
    marks = tint * np.float32(0.42) if thing.look.colour in ("white", "yellow", "pink", "orange") else None
    other = tint + (255 - tint) * np.float32(0.62) if marks is None else marks
    return np.asarray((tint + (other - tint) * painted[..., None]) * shade[..., None], dtype=np.float32)


def _windows(
    x: int, y: int, reach: int, size: tuple[int, ...]
) -> tuple[tuple[slice, slice] | None, tuple[slice, slice]]:
    """Return where a box around (x, y) lies on the canvas, and which part of the box that is."""
    top, bottom = max(y - reach, 0), min(y + reach + 1, size[0])
    left, right = max(x - reach, 0), min(x + reach + 1, size[1])
    source = (slice(top - y + reach, bottom - y + reach), slice(left - x + reach, right - x + reach))
    if top >= bottom or left >= right:
        return None, source
    return (slice(top, bottom), slice(left, right)), source


def _paint_pillar(canvas: Floats, masks: Masks, scene: Scene, random: np.random.Generator) -> None:
    """Put a bar in front of everything; it stands in the world, so the camera moves past it."""
    left, width = scene.pillar or (0, 0)
    colour = random.uniform(70, 130) + random.uniform(-12, 12, 3)
    across = np.linspace(-1, 1, width, dtype=np.float32)
    profile = (1 - np.float32(0.35) * across * across)[:, None] * colour.astype(np.float32)
    rows = np.repeat(random.uniform(0.85, 1.1, canvas.shape[1] // 8).astype(np.float32), 8)[:, None, None]
    for frame, (x, _) in enumerate(scene.camera):
        begin = left - int(x) + _MARGIN
        canvas[frame, :, begin : begin + width] = profile[None] * rows
        masks[frame, :, begin : begin + width] = 0
