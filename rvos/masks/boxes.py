"""Boxes of masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco


def find_boxes(runs: Sequence[bytes], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return left, top, width and height of every frame's mask in pixels, `(T, 4)`; zeros where it is empty.

    Args:
        runs: T COCO compressed run lengths of frames of `size` (H, W).
    """
    return np.asarray(coco.toBbox([{"size": list(size), "counts": counts} for counts in runs]), np.float64)
