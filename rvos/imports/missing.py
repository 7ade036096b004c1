"""What stands for masks that a source does not have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from rvos.errors import InputError
from rvos.imports.source import PictureSource, Source, find_frame_size
from rvos.masks.mask_sequences import MaskFill, MaskSequence, by_expression, encode
from rvos.videos import Expression, Video

Missing = Literal["refuse", "empty", "abstain"]


def read_filled(source: Source, video: Video, fill: MaskFill) -> Sequence[MaskSequence]:
    """Return the masks of all expressions of a video, with something in place of those that are not there.

    Args:
        fill: `empty`: frames without a mask are black; `abstain`: a sentence that lacks a mask is black in all frames,
            and has no vote where masks are fused.

    Raises:
        InputError: a mask is damaged or does not fit the frames, or nothing tells the size of black ones.
    """
    gaps = source.list_gaps(video)
    whole = [one for one in video.expressions if one.id not in gaps]
    found = by_expression(source.read(replace(video, expressions=tuple(whole))) if whole else ())
    parts = [one for one in video.expressions if fill == "empty" and 0 < gaps.get(one.id, 0) < video.n_frames]
    if parts and isinstance(source, PictureSource):
        filled = replace(source, fills=True).read(replace(video, expressions=tuple(parts)))
        found |= {one.expression: replace(one, missing=fill) for one in filled}
    return add_black(found, video, fill)


def add_black(found: Mapping[str, MaskSequence], video: Video, fill: MaskFill) -> list[MaskSequence]:
    """Return the masks of all expressions of a video, black ones of those that are not among `found`, by their names.

    Raises:
        InputError: nothing tells the size of black ones.
    """
    size = find_frame_size(video) or next((one.size for one in found.values()), None)
    return [found[one.id] if one.id in found else _draw_black(video, one, size, fill) for one in video.expressions]


def _draw_black(video: Video, expression: Expression, size: tuple[int, int] | None, fill: MaskFill) -> MaskSequence:
    if size is None:
        raise InputError(f"{video.id}/{expression.id}: no masks, and nothing tells the size of black ones; add images")
    black = encode(np.zeros((1, *size), np.bool_)) * video.n_frames
    scores = np.zeros(video.n_frames, np.float32)
    return MaskSequence(video.id, expression.id, video.frames, size, black, scores, scored=False, missing=fill)
