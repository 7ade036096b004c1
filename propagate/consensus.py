"""The key rule `consensus`: several frames start alone, and the start that the other frames agree with is kept.

A network that mistakes one object for another for some frames marks the right one in most. Carried through the video,
a mask of the right object meets the network's own masks again in all of these; one of a wrong object does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from propagate.key_frames import rank_steady_frames
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.runs import intersect_by_frame


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """What is carried for one expression.

    Args:
        source: its masks, without soft maps.
        starts: the same masks with another key frame each; at least one.
    """

    source: MaskSequence
    starts: tuple[MaskSequence, ...]

    @classmethod
    def of_one(cls, source: MaskSequence) -> Trial:
        """Return the trial of a sequence whose key frame is decided."""
        return cls(source, (source,))

    @classmethod
    def of_several(cls, source: MaskSequence, count: int) -> Trial:
        """Return the trial of at most `count` starts, the steadiest frames; without any mask it is of one.

        Raises:
            InputError: scores that are not finite.
        """
        frames = rank_steady_frames(source)[:count]
        bare = replace(source, soft=None)
        return cls(bare, tuple(replace(bare, key_frame=frame) for frame in frames) or (bare,))

    def choose(self, carried: Sequence[MaskSequence]) -> MaskSequence:
        """Return the carried masks that the source agrees with best, the earlier start of equals.

        Args:
            carried: one sequence for every start.
        """
        if len(carried) == 1:
            return carried[0]
        agreements = [measure_agreement(self.source, one) for one in carried]
        return carried[agreements.index(max(agreements))]


def measure_agreement(source: MaskSequence, carried: MaskSequence) -> float:
    """Return the IoU of both masks, each frame as much as the source's score says, summed over the frames.

    Two empty masks agree.
    """
    own, other = source.as_runs(), carried.as_runs()
    common = intersect_by_frame(own, other)
    union = own.areas() + other.areas() - common
    ious = np.where(union > 0, common / np.maximum(union, 1), 1.0)
    return float(source.scores.astype(np.float64) @ ious)
