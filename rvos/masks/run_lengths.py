"""COCO run lengths in JSON: checked before anything trusts them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from rvos.errors import InputError
from rvos.files.images import check_area
from rvos.files.json_files import expect_object
from rvos.masks.mask_sequences import decode
from rvos.masks.runs import Runs


def read_run_size(rle: object, *, where: str) -> tuple[int, int]:
    """Return (H, W) of `{"size": [H, W], "counts": text}`. Raises InputError: no size, or one that no frame has."""
    size = expect_object(rle, where=where).get("size")
    if not isinstance(size, list) or len(size) != 2 or not all(type(side) is int and side > 0 for side in size):
        raise InputError(f"{where}: run lengths without a size [H, W]; encode the mask again")
    check_area((size[0], size[1]), where=where)
    return size[0], size[1]


def decode_run_length(rle: object, size: tuple[int, int], *, where: str) -> NDArray[np.bool_]:
    """Return the mask `(H, W)` of `{"size": [H, W], "counts": text}`; raises as `check_run_length` does."""
    counts = check_run_length(rle, size, where=where)
    return decode((counts,), size)[0]


def check_run_length(rle: object, size: tuple[int, int], *, where: str) -> bytes:
    """Return the compressed counts of a COCO run length of `(H, W)`. Raises InputError: malformed, other size."""
    entry = expect_object(rle, where=where)
    found = entry.get("size")
    if found != list(size):
        text = ascii(found)[:60]
        raise InputError(f"{where}: size {text}, expected {list(size)}; write masks at the frame size")
    counts = entry.get("counts")
    try:
        if isinstance(counts, list):
            counts = _compress(counts, size)
        if not isinstance(counts, (str, bytes)):
            raise InputError("no `counts`; encode the mask again")
        content = counts.encode("ascii") if isinstance(counts, str) else counts
        Runs.decode([content], size)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    except (TypeError, ValueError, OverflowError, UnicodeEncodeError) as error:
        raise InputError(f"{where}: no run lengths ({error}); encode the mask again") from None
    return content


def _compress(counts: list[Any], size: tuple[int, int]) -> bytes:
    """Return plain run lengths in compressed form; checked first, since the C code trusts them."""
    if not all(type(count) is int and count >= 0 for count in counts) or sum(counts) != size[0] * size[1]:
        raise InputError(f"run lengths that do not cover {size[0]} x {size[1]} pixels; encode the mask again")
    return bytes(coco.frPyObjects({"size": list(size), "counts": counts}, *size)["counts"])
