"""Frames and masks at the size at which the page shows them."""

from __future__ import annotations

import base64
import io

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rvos.mask_sequences import MaskSequence, encode

_JPEG_QUALITY = 80


def picture_size(size: tuple[int, int], *, longest: int) -> tuple[int, int]:
    """Return (height, width) scaled so that no side exceeds `longest` pixels; small frames keep their size."""
    factor = min(1.0, longest / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def data_address(frame: NDArray[np.uint8], size: tuple[int, int]) -> str:
    """Return a frame (H, W, 3) as the data address of a JPEG of `size`."""
    height, width = size
    image = Image.fromarray(frame)
    if image.size != (width, height):
        image = image.resize((width, height), Image.Resampling.BILINEAR)
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=_JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(stream.getvalue()).decode()


def shrink_runs(sequence: MaskSequence, size: tuple[int, int]) -> tuple[str, ...]:
    """Return the run lengths of a sequence's masks at picture size, as text."""
    if sequence.size == size:
        return tuple(counts.decode("ascii") for counts in sequence.runs)
    return shrink_masks(sequence.masks(), size)


def shrink_masks(masks: NDArray[np.bool_], size: tuple[int, int]) -> tuple[str, ...]:
    """Return the run lengths of masks (T, H, W) resized by nearest neighbour to `size`, as text."""
    height, width = size
    small = [cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST) for mask in masks]
    return tuple(counts.decode("ascii") for counts in encode(np.stack(small).astype(bool)))
