"""Votes and scores of masks that are arrays."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fusion.votes import count_votes
from rvos.errors import FusionError, InputError
from rvos.evaluation.measures import j_and_f
from rvos.masks.mask_sequences import as_masks, decode
from rvos.masks.runs import Runs
from rvos.settings import count

Masks = NDArray[np.bool_]


def vote(masks: Sequence[Masks], *, needed: int, weights: Sequence[int] | None = None) -> Masks:
    """Return the pixels `(T, H, W)` that masks of at least `needed` votes mark (paper Eq. 3).

    Args:
        masks: boolean arrays `(T, H, W)` of the same frames and size.
        needed: votes, from 1 to the sum of the weights.
        weights: votes of each, whole numbers from 1; default: 1 each.

    Raises:
        FusionError: no masks, unequal ones, arrays that are no masks, votes that are no whole numbers, or a vote that
            cannot be reached.
    """
    try:
        checked = [as_masks(array, where="a vote") for array in masks]
    except InputError as error:
        raise FusionError(str(error)) from None
    for number in (needed, *(() if weights is None else weights)):
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 1:
            raise FusionError(f"a vote of {number!r}; votes are whole numbers from 1")
    if weights is not None and len(weights) != len(masks):
        raise FusionError(
            f"a vote of {count(len(masks), 'mask')} with {count(len(weights), 'weight')}; give one weight each"
        )
    kept = count_votes([Runs.from_masks(array) for array in checked], weights).keep(needed)
    return decode(kept.encode(), kept.size)


def score(masks: Masks, truth: Masks) -> tuple[float, float]:
    """Return J and F of masks `(T, H, W)` against the truth in per cent, as tables have them: means over the frames.

    Raises:
        InputError: shapes that differ or are not `(T, H, W)`, no frames, or arrays that are no masks.

    Source: evaluation.md, sections 1 and 2.
    """
    j, f = j_and_f(as_masks(truth, where="the truth"), as_masks(masks, where="the masks"))
    if not j.size:
        raise InputError("the masks: no frame, so nothing can be scored; give masks (T, H, W)")
    return 100 * float(j.mean()), 100 * float(f.mean())
