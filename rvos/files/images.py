"""Pictures of four known formats, refused by their header where they are too large; no other decoder is ever tried."""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.BmpImagePlugin import BmpImageFile
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from rvos.errors import InputError

LARGEST_IMAGE = 1 << 26
_OPAQUE = 255
LARGEST_IMAGE_FILE = 1 << 28
# First bytes -> reader. Pillow left to itself would also start Ghostscript for a file that says it is PostScript.
_READERS: Mapping[bytes, type[ImageFile]] = {
    b"\x89PNG\r\n\x1a\n": PngImageFile,
    b"\xff\xd8\xff": JpegImageFile,
    b"BM": BmpImageFile,
    b"RIFF": WebPImageFile,
}
_DECODING_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    OverflowError,
    EOFError,
    struct.error,
    zlib.error,
    MemoryError,
    AssertionError,  # of a palette that is missing
    Image.DecompressionBombError,
)


@contextmanager
def open_image(content: bytes, *, where: str) -> Iterator[Image.Image]:
    """Give an image that is not decoded yet; errors of decoding inside the block are named too.

    Args:
        content: a PNG, JPEG, BMP or WebP file.
        where: what messages call it.

    Raises:
        InputError: none of these, damaged, or of more than 2^26 pixels.
    """
    reader = next((reader for start, reader in _READERS.items() if content.startswith(start)), None)
    if reader is None:
        raise InputError(
            f"{where}: image cannot be decoded (no PNG, JPEG, BMP or WebP file{_guess(content)}); write the file again"
        )
    try:
        # Pillow warns of parts that it passes over, such as a broken animation.
        with warnings.catch_warnings(action="ignore", category=UserWarning), reader(io.BytesIO(content)) as image:
            check_area((image.height, image.width), where=where)
            yield image
    except _DECODING_ERRORS as error:
        raise InputError(f"{where}: image cannot be decoded ({error}); write the file again") from None


def check_area(size: tuple[int, int], *, where: str) -> None:
    """Check that an image or mask of (H, W) fits into memory. Raises InputError: more than 2^26 pixels."""
    if size[0] * size[1] > LARGEST_IMAGE:
        raise InputError(
            f"{where}: {size[0]} x {size[1]} pixels (H x W), at most {LARGEST_IMAGE} in all are read; make it smaller"
        )


def decode_frame(content: bytes, *, where: str, upright: bool = False) -> NDArray[np.uint8]:
    """Return RGB `(H, W, 3)`, 0 to 255; `upright`: turned by its EXIF.

    Raises:
        InputError: no image, damaged, too large, or transparent somewhere: colours below that are nobody's picture.
    """
    with open_image(content, where=where) as image:
        if image.has_transparency_data and np.asarray(image.convert("RGBA"))[..., 3].min() < _OPAQUE:
            raise InputError(f"{where}: transparent in places, and what is seen there is not known; write no alpha")
        shown = ImageOps.exif_transpose(image) if upright else image
        if shown.mode.startswith("I"):  # Pillow's own conversion clips at 255: nearly all white
            grey = (np.asarray(shown).astype(np.int64) >> 8).clip(0, 255).astype(np.uint8)
            return np.repeat(grey[:, :, None], 3, axis=2)
        return np.asarray(shown.convert("RGB"))


def read_image_size(content: bytes, *, where: str) -> tuple[int, int]:
    """Return `(H, W)` from the header of an image. Raises InputError: no image, or too large."""
    with open_image(content, where=where) as image:
        return image.height, image.width


def _guess(content: bytes) -> str:
    """Return what stands in place of an image, where that is known."""
    start = content[:64].lstrip().lower()
    if not content:
        return ", but an empty file"
    if start.startswith((b"<!doctype", b"<html")):
        return ", but a web page"
    if start.startswith(b"version https://git-lfs"):
        return ", but the pointer of Git LFS"
    return ""
