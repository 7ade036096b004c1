"""Index maps of Ref-DAVIS17: the expressions of one annotation file merged into one map of all objects."""

from __future__ import annotations

import io
from collections.abc import Mapping

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rvos.errors import InputError
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Expression, Video

N_ANNOTATORS = 4
_BACKGROUND = np.float32(0.1)
_LARGEST_INDEX = 255


def split_expression_id(expression: Expression, *, where: str) -> tuple[int, int]:
    """Return (object position, annotation file) of `id = 4 * object + file`. Raises InputError: no whole number."""
    if not expression.id.isdecimal():
        raise InputError(f"{where}/{expression.id}: expression ids of Ref-DAVIS17 are 4 x object + file; correct it")
    return divmod(int(expression.id), N_ANNOTATORS)


def read_index(name: str, *, where: str) -> int:
    """Return the value that an object has in index maps.

    Raises:
        InputError: no whole number from 1 to 255.
    """
    if not (name.isascii() and name.isdecimal() and len(name) < 10) or not 0 < int(name) <= _LARGEST_INDEX:
        raise InputError(f"{where}: object {ascii(name)[:40]} is no index from 1 to {_LARGEST_INDEX}; correct obj_id")
    return int(name)


def merge_by_annotator(video: Video, probabilities: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.uint8]]:
    """Return the index maps `(T, H, W)` of the four annotation files.

    Probabilities below 0.5 count as 0, background has 0.1, and the largest value takes the pixel; of equal ones, the
    object with the smaller index. Source: evaluation.md, section 3, Ref-DAVIS17 in detail.

    Args:
        probabilities: expression id -> `(T, H, W)`, in [0, 1]; expressions that are missing mark nothing.

    Raises:
        InputError: expression ids or object indices that are not those of Ref-DAVIS17, or no masks at all.
    """
    shape = next((values.shape for values in probabilities.values()), None)
    if shape is None:
        raise InputError(f"{video.id}: no masks to merge; predict at least one expression")
    best = [np.full(shape, _BACKGROUND) for _ in range(N_ANNOTATORS)]
    maps = [np.zeros(shape, np.uint8) for _ in range(N_ANNOTATORS)]
    indices = {
        one.id: read_index("".join(one.object_ids[:1]), where=f"{video.id}: expression {one.id}")
        for one in video.expressions
    }
    for expression in sorted(video.expressions, key=lambda one: indices[one.id]):
        if expression.id not in probabilities:
            continue
        _, number = split_expression_id(expression, where=video.id)
        values = np.where(probabilities[expression.id] < 0.5, np.float32(0), probabilities[expression.id])
        wins = values > best[number]
        best[number][wins] = values[wins]
        maps[number][wins] = indices[expression.id]
    return maps


def encode_index_map(values: NDArray[np.uint8]) -> bytes:
    """Return the palette PNG of an index map `(H, W)`, in the colours of DAVIS."""
    height, width = values.shape
    image = Image.frombytes("P", (width, height), np.ascontiguousarray(values).tobytes())
    image.putpalette(davis_palette())
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def davis_palette() -> list[int]:
    """Return the 256 RGB colours of index maps: the bits of the index, dealt to the channels in turn."""
    colours: list[int] = []
    for index in range(256):
        for channel in range(3):
            bits = [(index >> (3 * place + channel)) & 1 for place in range(3)]
            colours.append(sum(bit << (7 - place) for place, bit in enumerate(bits)))
    return colours


def to_probabilities(sequence: MaskSequence) -> NDArray[np.float32]:
    """Return foreground probabilities `(T, H, W)`: of the soft maps inside the hard masks, else 1 in the masks."""
    masks = sequence.masks()
    if sequence.soft is None:
        return masks.astype(np.float32)
    height, width = sequence.size
    values = sequence.soft.dequantise()
    soft = (1 / (1 + np.exp(-values))).astype(np.float32) if sequence.soft.kind == "logit" else values
    large = np.stack([cv2.resize(frame, (width, height), interpolation=cv2.INTER_LINEAR) for frame in soft])
    # The hard masks are exact, the soft maps coarse: they only decide between masks that overlap.
    return np.where(masks, np.maximum(large, np.float32(0.5)), np.float32(0))
