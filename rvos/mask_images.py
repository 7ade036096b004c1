"""Masks and index maps in image files, read with their stored values."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rvos.errors import InputError

_MODES = ("L", "P", "1")
DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    struct.error,
    zlib.error,
    MemoryError,
    Image.DecompressionBombError,
)


def decode_index_map(content: bytes, *, where: str) -> NDArray[np.uint8]:
    """Return the stored values `(H, W)` uint8 of a greyscale, palette or 1-bit image.

    A palette is not applied: the values are the indices. A 1-bit image gives 0 and 1.

    Raises:
        InputError: no image, damaged, or of another mode.
    """
    values, mode = decode_with_mode(content, where=where)
    if mode not in _MODES:
        raise InputError(f"{where}: image mode {mode}, expected 8-bit greyscale or palette; convert the file")
    return values


def decode_with_mode(content: bytes, *, where: str) -> tuple[NDArray[np.uint8], str]:
    """Return the stored values of an image and its Pillow mode; values of other modes are `(H, W, C)`.

    Raises:
        InputError: no image, or damaged.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            return np.asarray(image).astype(np.uint8, copy=False), image.mode
    except DECODING_ERRORS as error:
        raise InputError(f"{where}: image cannot be decoded ({error}); write the file again") from None


def read_image_size(content: bytes, *, where: str) -> tuple[int, int]:
    """Return `(H, W)` from the header of an image.

    Raises:
        InputError: no image.
    """
    try:
        with Image.open(io.BytesIO(content)) as image:
            return image.height, image.width
    except DECODING_ERRORS as error:
        raise InputError(f"{where}: image cannot be decoded ({error}); write the file again") from None


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
