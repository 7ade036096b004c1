"""Soft fusion: the weighted mean of the members' probabilities, thresholded at frame size."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from fusion.assignment import ScoreFit
from fusion.methods.singles import RuleWithSingles
from fusion.rules import Rows, list_present
from rvos.errors import FusionError
from rvos.masks.mask_sequences import MaskSequence, encode

_EVEN = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Average(RuleWithSingles):
    """A mean of probabilities; masks without soft maps are probabilities 0 and 1.

    Args:
        threshold: probability to exceed; exactly this one is background. None: 0.5.
    """

    method: ClassVar[str] = "average"
    needs_soft: ClassVar[bool] = True

    def __post_init__(self) -> None:
        RuleWithSingles.__post_init__(self)
        stated = (self.threshold, self.singles.threshold if self.singles else None)
        if any(threshold is not None and threshold.kind == "count" for threshold in stated):
            raise FusionError("an average needs a probability such as 0.5 as threshold, not a count")

    def fuse_group(self, rows: Rows, fits: Sequence[ScoreFit] | None) -> tuple[bytes, ...]:
        """See `FusionRule`."""
        if (only := self.take_only(rows)) is not None:
            return only
        present = list_present(rows)
        everyone = [sequence for _, sequence in present]
        weights = np.asarray([self.integer_weights()[member] for member, _ in present], np.float64)
        shares = weights / weights.sum()
        stated = self.threshold_for(len(rows))
        threshold = _EVEN if stated is None else float(stated.value)
        return tuple(_average_frame(everyone, shares, index, threshold) for index in range(everyone[0].n_frames))


def _average_frame(members: Sequence[MaskSequence], shares: NDArray[np.float64], index: int, threshold: float) -> bytes:
    """Return the run lengths of one frame; only one frame is ever dense."""
    total = np.zeros(members[0].size, np.float32)
    for member, share in zip(members, shares, strict=True):
        if member.soft is None:
            total += np.float32(share) * member.mask(index)
        else:
            total += np.float32(share) * member.soft.probabilities(index, member.size)
    return encode((total > threshold)[None])[0]
