"""Frames and masks at the size at which the page shows them."""

from __future__ import annotations

import io
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pycocotools import mask as coco

_JPEG_QUALITY = 80


def picture_size(size: tuple[int, int], *, longest: int) -> tuple[int, int]:
    """Return (height, width) scaled so that no side exceeds `longest` pixels; small frames keep their size."""
    factor = min(1.0, longest / max(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def encode_picture(frame: NDArray[np.uint8], size: tuple[int, int]) -> bytes:
    """Return a frame (H, W, 3) as a JPEG of `size`."""
    height, width = size
    if frame.shape[:2] != size:
        frame = np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
    stream = io.BytesIO()
    Image.fromarray(frame).save(stream, "JPEG", quality=_JPEG_QUALITY)
    return stream.getvalue()


def shrink_runs(runs: Sequence[bytes], full: tuple[int, int], size: tuple[int, int]) -> tuple[str, ...]:
    """Return run lengths of masks of size `full`, resized by nearest neighbour to `size`, as text."""
    if full == size:
        return tuple(counts.decode("ascii") for counts in runs)
    # Decoded masks lie column by column; so do those that are encoded again, and nothing is turned in between.
    masks = coco.decode([{"size": list(full), "counts": counts} for counts in runs])
    rows, columns = (np.arange(small) * large // small for small, large in zip(size, full, strict=True))
    small = np.asfortranarray(masks[np.ix_(rows, columns)])
    return tuple(one["counts"].decode("ascii") for one in coco.encode(small))
