"""Augmentation of labelled sequences for mask propagation. Source: aot.md, section 12, deaot.md, section 7."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray

from rvos.settings import Ascending, Chance, Range
from rvos_fusion.training.data.videos import objects_seen

FILL = (124, 116, 104)
IGNORED = 255
_CROP_TRIES = 5
_CELLS = (3.5, 8.0)
_FAULTS = 0.15
_LEVELS = (0.35, 0.6)


@dataclass(frozen=True, slots=True, eq=False)
class Sequence:
    """T frames `(T, H, W, 3)` uint8 RGB and their index masks `(T, H, W)` uint8."""

    frames: NDArray[np.uint8]
    labels: NDArray[np.uint8]


Factor = Annotated[float, Range(above=0, most=10)]
_Part = Annotated[float, Range(above=0, most=1)]


@dataclass(frozen=True, slots=True)
class Photometric:
    """Colour changes, drawn per frame.

    Args:
        jitter: strength of brightness, contrast, saturation (factors 1 +- strength) and hue (turns).
        chance: probability of the jitter.
        grey: probability of a grey frame.
        blur: probability of a Gaussian blur with sigma 0.1 to 2.
    """

    jitter: tuple[Chance, Chance, Chance, Chance] = (0.0, 0.0, 0.0, 0.0)
    chance: Chance = 1.0
    grey: Chance = 0.0
    blur: Chance = 0.0


def recolour(frame: NDArray[np.uint8], settings: Photometric, random: np.random.Generator) -> NDArray[np.uint8]:
    """Return a frame `(H, W, 3)` with changed colours; the order of the changes is random."""
    image = frame.astype(np.float32) / np.float32(255)
    if max(settings.jitter) > 0 and random.random() < settings.chance:
        for change in random.permutation(4):
            image = np.clip(_jitter(image, int(change), settings.jitter[int(change)], random), 0, 1)
    if settings.grey and random.random() < settings.grey:
        image = np.repeat(_luminance(image)[..., None], 3, axis=2)
    if settings.blur and random.random() < settings.blur:
        image = cv2.GaussianBlur(image, (0, 0), random.uniform(0.1, 2.0))
    return np.rint(image * 255).astype(np.uint8)


def _luminance(image: NDArray[np.float32]) -> NDArray[np.float32]:
    return image @ np.array([0.299, 0.587, 0.114], dtype=np.float32)


def _jitter(
    image: NDArray[np.float32], change: int, strength: float, random: np.random.Generator
) -> NDArray[np.float32]:
    """Return the image with brightness (0), contrast (1), saturation (2) or hue (3) changed."""
    if change == 3:
        hsv = cv2.cvtColor(image, cv2.COLOR_RGB2HSV)
        hsv[..., 0] = (hsv[..., 0] + 360 * random.uniform(-strength, strength)) % 360
        return cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB)
    factor = np.float32(random.uniform(1 - strength, 1 + strength))
    grey = _luminance(image)[..., None]
    anchor = (np.zeros_like(grey), np.full_like(grey, grey.mean()), grey)[change]
    return anchor + (image - anchor) * factor


def scale_and_crop(
    sequence: Sequence, size: tuple[int, int], *, short_edge: float, least: int, random: np.random.Generator
) -> Sequence:
    """Return the sequence with its short edge at `short_edge`, then one window of `size` cut from every frame.

    Smaller frames are padded with `FILL` and background. Up to five windows are tried until the first
    frame shows an object of more than `least` pixels.
    """
    height, width = sequence.labels.shape[1:]
    factor = short_edge / min(height, width)
    wanted = (round(height * factor), round(width * factor))
    frames, labels = sequence.frames, sequence.labels
    if wanted != (height, width):
        frames = np.stack([cv2.resize(one, wanted[::-1], interpolation=cv2.INTER_CUBIC) for one in frames])
        labels = np.stack([cv2.resize(one, wanted[::-1], interpolation=cv2.INTER_NEAREST) for one in labels])
    rows, columns = (max(0, cut - whole) for cut, whole in zip(size, wanted, strict=True))
    if rows or columns:
        margins = ((0, 0), (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2))
        frames = np.stack([np.pad(frames[..., i], margins, constant_values=FILL[i]) for i in range(3)], axis=-1)
        labels = np.pad(labels, margins)
    height, width = labels.shape[1:]
    for _ in range(_CROP_TRIES):
        top = int(random.integers(height - size[0] + 1))
        left = int(random.integers(width - size[1] + 1))
        area = (slice(None), slice(top, top + size[0]), slice(left, left + size[1]))
        if objects_seen(labels[area][0], least=least + 1):
            break
    return Sequence(frames[area], labels[area])


@dataclass(frozen=True, slots=True)
class Warp:
    """Changes of one image that make a frame of a static sequence; the defaults are AOT's.

    Args:
        degrees, shift, scale, shear: of a random affine map; shift in parts of the side, shear in degrees.
        area, aspect: of the cut that is resized to the sequence's size.
        flip: probability of mirroring, per frame.
    """

    degrees: Annotated[float, Range(least=0, most=180)] = 20.0
    shift: Chance = 0.1
    scale: Annotated[tuple[Factor, Factor], Ascending()] = (0.9, 1.1)
    shear: Annotated[float, Range(least=0, below=90)] = 10.0
    area: Annotated[tuple[_Part, _Part], Ascending()] = (0.8, 1.0)
    aspect: Annotated[tuple[Factor, Factor], Ascending()] = (3 / 4, 4 / 3)
    flip: Chance = 0.3


def warp(
    image: NDArray[np.uint8],
    label: NDArray[np.uint8],
    size: tuple[int, int],
    settings: Warp,
    random: np.random.Generator,
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a randomly mirrored, warped and cut copy of a labelled image, `size` = (H, W)."""
    if random.random() < settings.flip:
        image, label = image[:, ::-1], label[:, ::-1]
    height, width = label.shape
    matrix = _affine((height, width), settings, random)
    whole = (width, height)
    image = cv2.warpAffine(np.ascontiguousarray(image), matrix, whole, flags=cv2.INTER_LINEAR, borderValue=FILL)
    label = cv2.warpAffine(np.ascontiguousarray(label), matrix, whole, flags=cv2.INTER_NEAREST, borderValue=0)
    top, left, rows, columns = _cut((height, width), settings, random)
    area = (slice(top, top + rows), slice(left, left + columns))
    return (
        cv2.resize(image[area], size[::-1], interpolation=cv2.INTER_LINEAR),
        cv2.resize(label[area], size[::-1], interpolation=cv2.INTER_NEAREST),
    )


def _affine(size: tuple[int, int], settings: Warp, random: np.random.Generator) -> NDArray[np.float64]:
    """Return a 2x3 matrix: rotation, shear and scale about the centre, then a shift."""
    height, width = size
    angle = np.deg2rad(random.uniform(-settings.degrees, settings.degrees))
    shear = np.tan(np.deg2rad(random.uniform(-settings.shear, settings.shear)))
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = random.uniform(*settings.scale) * turn @ np.array([[1.0, shear], [0.0, 1.0]])
    centre = np.array([width / 2, height / 2])
    shift = random.uniform(-settings.shift, settings.shift, size=2) * (width, height)
    offset = centre - linear @ centre + shift
    return np.concatenate([linear, offset[:, None]], axis=1)


def _cut(size: tuple[int, int], settings: Warp, random: np.random.Generator) -> tuple[int, int, int, int]:
    """Return top, left, height and width of a cut with random area and aspect."""
    height, width = size
    area = random.uniform(*settings.area) * height * width
    aspect = np.exp(random.uniform(*np.log(settings.aspect)))
    rows = min(height, max(1, round(float(np.sqrt(area / aspect)))))
    columns = min(width, max(1, round(float(np.sqrt(area * aspect)))))
    return int(random.integers(height - rows + 1)), int(random.integers(width - columns + 1)), rows, columns


def paste(below: Sequence, above: Sequence, *, least: int, most_objects: int) -> Sequence:
    """Return `below` with `above`'s objects of more than `least` pixels at first on top, `most_objects` in all."""
    used = objects_seen(below.labels)
    taken = objects_seen(above.labels[0], least=least + 1)[: max(0, most_objects - len(used))]
    frames, labels = below.frames.copy(), below.labels.copy()
    first = max(used, default=0) + 1
    for number, name in enumerate(taken, start=first):
        shown = above.labels == name
        frames[shown] = above.frames[shown]
        labels[shown] = number
    return Sequence(frames, labels)


def renumber(labels: NDArray[np.uint8], *, most_objects: int) -> tuple[NDArray[np.uint8], int]:
    """Return labels with the first frame's objects as 1 to n, 255 kept, others 0 (later ones cannot travel), and n."""
    names = objects_seen(labels[0])[:most_objects]
    table = np.zeros(256, dtype=np.uint8)
    table[names] = np.arange(1, len(names) + 1)
    table[IGNORED] = IGNORED
    return table[labels], len(names)


def coarsen(label: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return a map `(H, W)` (0 background, 255 ignored) whose objects look upsampled from a coarse grid, with faults.

    An object that would vanish keeps its mask; where two meet, the one with the smaller number stays on top.
    """
    height, width = label.shape
    cell = random.uniform(*_CELLS)
    grid = (max(round(width / cell), 2), max(round(height / cell), 2))
    rough = np.zeros_like(label)
    for name in sorted({int(value) for value in np.unique(label)} - {0, IGNORED}, reverse=True):
        shown = (label == name).astype(np.float32)
        small = cv2.resize(shown, grid, interpolation=cv2.INTER_AREA)
        small = small + random.normal(0, _FAULTS, small.shape).astype(np.float32) * (cv2.blur(small, (3, 3)) > 0)
        large = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
        marked = large > random.uniform(*_LEVELS)
        rough[marked if marked.any() else shown > 0] = name
    return np.where(label == IGNORED, label, rough)
