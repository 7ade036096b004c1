"""The choice among tracklets without a trained model: the one that the members' masks lie on.

Source: docs/specs/tracklets.md, section 6.2.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rvos.masks.runs import Runs, tracklet_iou


def score_agreement(
    tracklets: Sequence[Runs], members: Sequence[Runs], weights: Sequence[float]
) -> NDArray[np.float64]:
    """Return the weighted mean tracklet IoU of every tracklet with the members' masks for one sentence, `(P,)`.

    Args:
        members: at least one.
        weights: of the members, above 0; only their ratios count.
    """
    overlaps = np.array([[tracklet_iou(tracklet, member) for member in members] for tracklet in tracklets], np.float64)
    shares = np.asarray(weights, np.float64) / np.sum(weights)
    scores: NDArray[np.float64] = overlaps.reshape(len(tracklets), len(members)) @ shares
    return scores
