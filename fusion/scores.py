"""Scores and key frame of a fused sequence, by an explicit rule."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rvos.errors import FusionError
from rvos.masks.mask_sequences import MaskSequence

ScoreRule = Literal["first", "mean", "product"]


def combine_scores(members: Sequence[MaskSequence], rule: ScoreRule) -> tuple[NDArray[np.float32], int | None]:
    """Return the scores `(T,)` float32 and the stated key frame (None: the first maximum of the scores).

    Args:
        members: sequences of one expression, in the order of the fusion.
        rule: `first`: scores and key frame of the first member, as the 2023 release; `mean` and `product`: of all
            members, key frame by the maximum.

    Raises:
        FusionError: no members.
    """
    if not members:
        raise FusionError("scores without members; name at least one member")
    if rule == "first":
        return members[0].scores, members[0].key_frame
    stacked = np.stack([member.scores.astype(np.float64) for member in members])
    combined = stacked.mean(axis=0) if rule == "mean" else stacked.prod(axis=0)
    return combined.astype(np.float32), None
