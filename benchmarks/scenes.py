"""What is measured on: objects with rough outlines, as several members see them, and videos of moving discs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Expression, Video

Vector = NDArray[np.float64]
HEIGHT, WIDTH = 720, 1280
# centre and radius as shares of the frame, and colour
_DISCS = (
    (0.29, 0.23, 0.19, (220, 60, 40)),
    (0.71, 0.33, 0.17, (40, 70, 210)),
    (0.37, 0.61, 0.21, (230, 210, 60)),
    (0.71, 0.78, 0.19, (240, 240, 240)),
)


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


def draw_masks(size: tuple[int, int], frame: int) -> NDArray[np.bool_]:
    """Return the discs (4, H, W) of a frame."""
    rows, columns = np.mgrid[: size[0], : size[1]] / size[0]
    shift = 0.02 * frame
    return np.stack(
        [
            (rows - top) ** 2 + (columns - left * size[1] / size[0] - shift) ** 2 < radius**2
            for top, left, radius, _ in _DISCS
        ]
    )


def write_video(folder: Path, size: tuple[int, int], n_frames: int, *, period: int = 1 << 30) -> Video:
    """Write frames with the discs as PNG files and return the video.

    Args:
        period: frames after which the discs are back where they began.
    """
    folder.mkdir(parents=True)
    names = tuple(f"{frame:05d}" for frame in range(n_frames))
    rows, columns = np.mgrid[: size[0], : size[1]] / size[0]
    ground = np.stack([60 + 40 * np.sin(6 * columns), 110 + 40 * np.cos(8 * rows), 70 + 0 * rows], axis=2)
    for frame, name in enumerate(names):
        pixels = ground.astype(np.uint8)
        for mask, (*_, colour) in zip(draw_masks(size, frame % period), _DISCS, strict=True):
            pixels[mask] = colour
        Image.fromarray(pixels).save(folder / f"{name}.png")
    return Video(folder.name, names, (Expression("0", "the disc"),), tuple(folder / f"{name}.png" for name in names))


def start_sequences(video: Video, size: tuple[int, int], keys: Sequence[int]) -> list[MaskSequence]:
    """Return one sequence a key frame, of the disc of its place, with a mask on its key frame alone."""
    sequences = []
    for place, key in enumerate(keys):
        masks = np.zeros((video.n_frames, *size), dtype=bool)
        masks[key] = draw_masks(size, key)[place]
        scores = np.eye(1, video.n_frames, key, dtype=np.float32)[0]
        name = str(place)
        sequences.append(
            MaskSequence.from_masks(
                masks, video=video.id, expression=name, frames=video.frames, scores=scores, key_frame=key
            )
        )
    return sequences
