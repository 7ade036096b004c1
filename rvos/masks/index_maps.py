"""Index maps of Ref-DAVIS17: the expressions of one annotation file merged into one map of all objects."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rvos.errors import InputError
from rvos.formats.ref_davis17 import N_ANNOTATORS, split_expression_id
from rvos.videos import Video

_BACKGROUND = np.float32(0.1)


def merge_by_annotator(video: Video, probabilities: Mapping[str, NDArray[np.float32]]) -> list[NDArray[np.uint8]]:
    """Return the index maps `(T, H, W)` of the four annotation files.

    Probabilities below 0.5 count as 0, background has 0.1, and the largest value takes the pixel; of equal ones, the
    object with the smaller index.

    Args:
        probabilities: expression id -> `(T, H, W)`, in [0, 1]; expressions that are missing mark nothing.

    Raises:
        InputError: expression ids or object indices that are not those of Ref-DAVIS17, or no masks at all.

    Source: evaluation.md, section 3, Ref-DAVIS17 in detail.
    """
    shape = next((values.shape for values in probabilities.values()), None)
    if shape is None:
        raise InputError(f"{video.id}: no masks to merge; predict at least one expression")
    best = [np.full(shape, _BACKGROUND) for _ in range(N_ANNOTATORS)]
    maps = [np.zeros(shape, np.uint8) for _ in range(N_ANNOTATORS)]
    order = sorted(video.expressions, key=lambda expression: int(expression.object_ids[0]))
    for expression in order:
        if expression.id not in probabilities:
            continue
        _, number = split_expression_id(expression, where=video.id)
        values = np.where(probabilities[expression.id] < 0.5, np.float32(0), probabilities[expression.id])
        wins = values > best[number]
        best[number][wins] = values[wins]
        maps[number][wins] = int(expression.object_ids[0])
    return maps


def encode_index_map(values: NDArray[np.uint8]) -> bytes:
    """Return the palette PNG of an index map `(H, W)`, in the colours of DAVIS."""
    height, width = values.shape
    image = Image.frombytes("P", (width, height), np.ascontiguousarray(values).tobytes())
    image.putpalette(_davis_palette())
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def _davis_palette() -> list[int]:
    """Return 256 colours: the bits of an index go, three at a time, to the highest bits of red, green and blue."""
    colours = []
    for index in range(256):
        colour = [0, 0, 0]
        for place in range(8):
            for channel in range(3):
                colour[channel] |= (index >> (3 * place + channel) & 1) << (7 - place)
        colours += colour
    return colours
