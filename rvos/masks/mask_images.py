"""Masks and index maps in image files, read with their stored values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.files.images import open_image

_MODES = ("L", "P", "1")


def decode_index_map(content: bytes, *, where: str) -> NDArray[np.uint8]:
    """Return the stored values `(H, W)` uint8 of a greyscale, palette or 1-bit image.

    A palette is not applied: the values are the indices. A 1-bit image gives 0 and 1.

    Raises:
        InputError: no image, damaged, too large, or of another mode.
    """
    with open_image(content, where=where) as image:
        if image.mode not in _MODES:
            raise InputError(f"{where}: image mode {image.mode}, expected 8-bit greyscale or palette; convert the file")
        return np.asarray(image).astype(np.uint8, copy=False)


def decode_with_mode(content: bytes, *, where: str) -> tuple[NDArray[np.uint8], str]:
    """Return the stored values of an image and its Pillow mode; values of other modes are `(H, W, C)`.

    Raises:
        InputError: no image, damaged, or too large.
    """
    with open_image(content, where=where) as image:
        return np.asarray(image).astype(np.uint8, copy=False), image.mode


def check_size(found: tuple[int, ...], expected: tuple[int, int], *, where: str) -> None:
    """Check the size of a mask against its frame.

    Raises:
        InputError: they differ.
    """
    if tuple(found[:2]) != tuple(expected):
        raise InputError(
            f"{where}: {found[0]} x {found[1]} pixels (H x W), expected {expected[0]} x {expected[1]}; "
            "write the mask at the original frame size"
        )
