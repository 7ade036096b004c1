"""Masks and index maps in image files, read with their stored values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rvos.errors import InputError
from rvos.files.images import open_image

_MODES = ("L", "P", "1", "LA", "RGB", "RGBA")
_PALETTE_SIZE = 256
_WHITE = 255
_ADVICE = "write it again as 8-bit greyscale, 0 for the background"


def decode_index_map(content: bytes, *, where: str) -> NDArray[np.uint8]:
    """Return the values `(H, W)` uint8 of a mask or index map: greyscale, palette, 1-bit, or colours that are all grey.

    A palette gives its indices, as long as they can be meant: see `_read_palette`. A 1-bit image gives 0 and 1.

    Raises:
        InputError: no image, damaged, too large, of more than 8 bits, in colours, or of values that may mean something
            else than they say.
    """
    with open_image(content, where=where) as image:
        # Pillow drops the lower byte of colours of 16 bits, in which masks of 0 and 1 lie.
        has_more_bits = any("16" in str(tile[3]) for tile in getattr(image, "tile", ()))
        if image.mode not in _MODES or has_more_bits:
            depth = " of 16 bits" if has_more_bits and image.mode in _MODES else ""
            raise InputError(
                f"{where}: image mode {image.mode}{depth}, expected 8-bit greyscale or palette; convert the file"
            )
        if image.mode == "P":
            values = _read_palette(image, where=where)
        else:
            shown = np.asarray(image).astype(np.uint8, copy=False)
            values = shown if shown.ndim == 2 else shown[..., 0]
            if image.mode.startswith("RGB") and (shown[..., 1:3] != values[..., None]).any():
                raise InputError(
                    f"{where}: image mode {image.mode} with colours, expected 8-bit greyscale or palette; "
                    "convert the file"
                )
        if image.has_transparency_data:
            _check_hidden(values, np.asarray(image.convert("RGBA"))[..., 3], where=where)
        return values


def decode_mask(content: bytes, *, where: str) -> NDArray[np.bool_]:
    """Return the foreground `(H, W)` of a picture of 0 and 255 or 0 and 1; InputError as above, or for other values."""
    values = decode_index_map(content, where=where)
    foreground: NDArray[np.bool_] = values != 0
    highest = int(values.max())
    if highest in (1, 255) and int(values.sum(dtype=np.int64)) == highest * int(np.count_nonzero(foreground)):
        return foreground
    if highest == 0:
        return foreground
    odd = sorted(set(np.unique(values).tolist()) - {0, 255})[0]
    raise InputError(f"{where}: value {odd}, expected 0 and 255 or 0 and 1; write binary masks")


def _read_palette(image: Image.Image, *, where: str) -> NDArray[np.uint8]:
    """Return the indices of an image with a palette, or what its greys say where index 0 is not black.

    Programs that shrink palettes order them as they like: an index alone says nothing. Black is the background.

    Raises:
        InputError: index 0 is not black, and nothing tells which colour is the background.
    """
    values = np.asarray(image)
    colours = np.zeros((_PALETTE_SIZE, 3), np.uint8)
    given = np.asarray(image.getpalette() or [], np.uint8).reshape(-1, 3)
    colours[: len(given)] = given
    if not colours[0].any():
        return values
    used = np.flatnonzero(np.bincount(values.ravel(), minlength=_PALETTE_SIZE))
    if (colours[used] == colours[used, :1]).all():
        greys = colours[:, 0]
        is_black_and_white = np.isin(greys[used], (0, _WHITE)).all()
        shown = (greys == _WHITE).astype(np.uint8) if is_black_and_white else greys
        return np.asarray(shown[values])
    has_two = int(np.flatnonzero(colours.any(axis=1)).max()) < 2
    if has_two or not colours[used].any(axis=1).all():
        raise InputError(
            f"{where}: index 0 of the palette is not black, so which colour is the background is not known; {_ADVICE}"
        )
    return values


def _check_hidden(values: NDArray[np.uint8], opacity: NDArray[np.uint8], *, where: str) -> None:
    """Check that transparency hides background alone. Raises InputError: foreground, or all that tells pixels apart."""
    if values[opacity < _WHITE].any():
        raise InputError(f"{where}: foreground is hidden by transparency, so what is meant is not known; {_ADVICE}")
    if not values.any() and opacity.min() != opacity.max():
        raise InputError(f"{where}: black with a shape in its transparency, which is no mask; {_ADVICE}")


def decode_with_mode(content: bytes, *, where: str) -> tuple[NDArray[np.uint8], str]:
    """Return the stored values of an image and its Pillow mode; values of other modes are `(H, W, C)`.

    Raises:
        InputError: no image, damaged, too large, or stored values that are not those that it shows.
    """
    with open_image(content, where=where) as image:
        values, mode = np.asarray(image).astype(np.uint8, copy=False), image.mode
    if mode in ("L", "P") and not np.array_equal(values, decode_index_map(content, where=where)):
        raise InputError(f"{where}: index 0 of the palette is not black; {_ADVICE}")
    return values, mode


def check_size(found: tuple[int, ...], expected: tuple[int, int], *, where: str) -> None:
    """Check the size of a mask against its frame. Raises InputError: they differ."""
    if tuple(found[:2]) != tuple(expected):
        raise InputError(
            f"{where}: {found[0]} x {found[1]} pixels (H x W), expected {expected[0]} x {expected[1]}; "
            "write the mask at the original frame size"
        )
