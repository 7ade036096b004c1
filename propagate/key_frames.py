"""Key frames: where the propagation of a mask sequence starts; `propagate.key_rules` says which frame that is.

A fusion states its key frames by its own score rule (`fusion.scores`), a member by its scores.
"""

from __future__ import annotations

import numpy as np

from rvos.masks.mask_sequences import MaskSequence

_LARGEST_RATIO = 2.0


def pick_start_frames(sequence: MaskSequence, *, count: int = 1, skip_empty: bool = False) -> tuple[int, ...]:
    """Return the frames to start from, the key frame last; none if the key frame's mask is empty.

    Args:
        count: frames at most. Beside the key frame these are the best-scored frames whose mask is not empty and
            whose area is within a factor of two of the key frame's: a mask of another size is likely to be of
            another object.
        skip_empty: take the best-scored frame whose mask is not empty where the key frame's is; none if all are.
    """
    areas = sequence.as_runs().areas()
    ranked = [int(frame) for frame in np.argsort(-sequence.scores, kind="stable") if areas[frame] > 0]
    key = sequence.pick_key_frame()
    if areas[key] == 0:
        if not (skip_empty and ranked):
            return ()
        key = ranked[0]
    lowest, highest = areas[key] / _LARGEST_RATIO, areas[key] * _LARGEST_RATIO
    fitting = [frame for frame in ranked if frame != key and lowest <= areas[frame] <= highest]
    return (*fitting[: count - 1], key)
