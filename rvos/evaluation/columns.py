"""Outlines of masks by column, as run lengths have them: J and F do not change when both masks are transposed."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from rvos.evaluation.outlines import Outlines, matching_radius, trace_together, trace_words
from rvos.masks.bit_masks import WORD, Words, find_columns, to_words
from rvos.masks.runs import Runs


def pack_columns(masks: NDArray[np.bool_]) -> Words:
    """Return masks `(T, H, W)` as words `(T, W, H // 64 + 1)`, as `bit_masks.to_words` gives those of runs."""
    n_frames, height, width = masks.shape
    packed = np.zeros((n_frames, width, (height // WORD + 1) * WORD // 8), np.uint8)
    for frame, mask in enumerate(np.ascontiguousarray(masks).view(np.uint8)):
        packed[frame, :, : -(-height // 8)] = np.packbits(cv2.transpose(mask), axis=-1, bitorder="little")
    return packed.view("<u8")


def trace_columns(words: Words, size: tuple[int, int], void: Words | None = None) -> tuple[Outlines, ...]:
    """Return the outlines of masks (H, W) as words `(T, W, H // 64 + 1)`, without the pixels of `void`."""
    height, width = size
    counted = words if void is None else words & ~void
    return trace_words(counted, (width, height), radius=matching_radius(size))


def trace_runs(masks: Sequence[Runs], void: Words | None = None) -> list[tuple[Outlines, ...]]:
    """Return the outlines of several masks of equal frames and size in one pass, without the pixels of `void`."""
    height, width = masks[0].size
    first, end = find_columns(masks)
    words = np.stack([to_words(mask, (first, end)) for mask in masks])
    if void is not None:
        words &= ~void[:, first:end]
    return trace_together(words, (width, height), radius=matching_radius((height, width)), first_row=first)
