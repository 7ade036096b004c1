"""Sheets: frames with the candidates' outlines and numbers, and a crop of each. Source: choice.md, section 3."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.masks.mask_sequences import decode
from rvos.masks.tracklets import Tracklet

Picture = NDArray[np.uint8]
# fmt: off
COLOURS = (
    (255, 64, 64), (64, 160, 255), (64, 224, 64), (255, 192, 0), (208, 96, 255),
    (0, 224, 208), (255, 128, 192), (176, 224, 32), (255, 255, 255), (255, 144, 64),
)
# fmt: on
"""One each for the candidates of a sheet: no more fit."""
_MARGIN = 1 / 8
"""Of a box's sides, added on each side: it grows by a quarter."""
_DARK = (0, 0, 0)


ReadFrame = Callable[[int], Picture]
"""Returns a frame of the video, RGB `(H, W, 3)`."""


def draw_sheet(
    read_frame: ReadFrame, candidates: Mapping[int, Tracklet], frames: Sequence[int], *, width: int
) -> Picture:
    """Return the sheet of some candidates, RGB `(H, W, 3)`.

    Args:
        candidates: by their numbers, at most as many as there are colours.
        frames: that are shown, in rows; a crop shows the frame of them in which its candidate is largest.
        width: of a shown frame in pixels; a smaller one is not enlarged.

    Raises:
        InputError: a frame cannot be read, or is not of the candidates' size.
    """
    pictures = {frame: _read(read_frame, frame, next(iter(candidates.values()))) for frame in frames}
    masks = {number: decode(tuple(one.runs[frame] for frame in frames), one.size) for number, one in candidates.items()}
    height, full = next(iter(pictures.values())).shape[:2]
    cell = (max(1, round(height * min(1.0, width / full))), min(width, full))
    shown = []
    for place, frame in enumerate(frames):
        picture = _shrink(pictures[frame], cell)
        for colour, (number, own) in zip(COLOURS, masks.items(), strict=False):
            _mark(picture, own[place], number, colour)
        shown.append(picture)
    columns = math.ceil(math.sqrt(len(shown)))
    grid = _tile(shown, columns)
    crops = list(_crop(pictures, frames, masks, grid.shape[0] // math.ceil(len(shown) / columns)))
    per_column = math.ceil(len(shown) / columns)
    side = _tile(crops, math.ceil(len(crops) / per_column))
    tall = max(grid.shape[0], side.shape[0])
    return np.hstack([_pad(grid, tall), _pad(side, tall)])


def _read(read_frame: ReadFrame, frame: int, candidate: Tracklet) -> Picture:
    picture = read_frame(frame)
    if picture.shape[:2] != candidate.size:
        raise InputError(
            f"{candidate.video}/{candidate.frames[frame]}: frame of size {picture.shape[:2]}, candidates of "
            f"{candidate.size}; make them of these frames"
        )
    return picture


def _shrink(picture: Picture, size: tuple[int, int]) -> Picture:
    return np.asarray(cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA), np.uint8)


def _mark(picture: Picture, mask: NDArray[np.bool_], number: int, colour: tuple[int, int, int]) -> None:
    """Draw outline and number of a candidate, nothing where it is not seen."""
    small = cv2.resize(mask.astype(np.float32), picture.shape[1::-1], interpolation=cv2.INTER_AREA)
    # Any part of a pixel: a candidate of a few pixels must not vanish.
    outlines, _ = cv2.findContours((small > 0).astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if outlines:
        cv2.drawContours(picture, outlines, -1, colour, 1)
        left, top, _, _ = cv2.boundingRect(max(outlines, key=len))
        _write(picture, number, (left, top), colour)


def _write(picture: Picture, number: int, corner: tuple[int, int], colour: tuple[int, int, int]) -> None:
    """Write a number with a dark rim above a corner, inside of the picture."""
    scale = max(0.4, picture.shape[0] / 400)
    (width, height), _ = cv2.getTextSize(str(number), cv2.FONT_HERSHEY_SIMPLEX, scale, 1)
    left = min(max(corner[0], 1), max(1, picture.shape[1] - width - 1))
    bottom = min(max(corner[1] - 2, height + 1), picture.shape[0] - 1)
    for ink, thickness in ((_DARK, 3), (colour, 1)):
        cv2.putText(picture, str(number), (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, scale, ink, thickness, cv2.LINE_AA)


def _crop(
    pictures: Mapping[int, Picture], frames: Sequence[int], masks: Mapping[int, NDArray[np.bool_]], side: int
) -> Iterator[Picture]:
    """Yield a square crop of each candidate without marks on it, its number in the corner."""
    for colour, (number, own) in zip(COLOURS, masks.items(), strict=False):
        areas = own.reshape(len(own), -1).sum(axis=1)
        best = int(np.argmax(areas))
        square = np.zeros((side, side, 3), np.uint8)
        if areas[best]:
            left, top, width, height = cv2.boundingRect(own[best].astype(np.uint8))
            right, bottom = left + width + round(width * _MARGIN), top + height + round(height * _MARGIN)
            cut = pictures[frames[best]][
                max(0, top - round(height * _MARGIN)) : bottom, max(0, left - round(width * _MARGIN)) : right
            ]
            scale = side / max(cut.shape[:2])
            size = (max(1, round(cut.shape[0] * scale)), max(1, round(cut.shape[1] * scale)))
            square[: size[0], : size[1]] = cv2.resize(
                cut, size[::-1], interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            )
        _write(square, number, (0, 0), colour)
        yield square


def _tile(pictures: Sequence[Picture], columns: int) -> Picture:
    """Return pictures of one size in rows; what is left of the last row is black."""
    height, width = pictures[0].shape[:2]
    rows = math.ceil(len(pictures) / columns)
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for place, picture in enumerate(pictures):
        top, left = place // columns * height, place % columns * width
        sheet[top : top + height, left : left + width] = picture
    return sheet


def _pad(picture: Picture, height: int) -> Picture:
    return np.pad(picture, ((0, height - picture.shape[0]), (0, 0), (0, 0)))
