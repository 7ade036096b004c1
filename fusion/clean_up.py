"""Clean-up of masks: small islands are dropped, small holes are filled, frame by frame."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from rvos.masks.mask_sequences import MaskSequence, encode
from rvos.settings import Chance

Mask = NDArray[np.bool_]
_NEIGHBOURS = 8
_HOLE_NEIGHBOURS = 4
"""Background that only corners connect is two holes, as foreground that corners connect is one island."""


@dataclass(frozen=True, slots=True)
class CleanUpRules:
    """What is too small; both parts are of the mask's own area in that frame, so that near and far objects are alike.

    Args:
        islands: connected parts below this part of the mask are dropped; the largest always stays. 0: none is.
        holes: enclosed background below this part of the mask is filled. 0: none is.
    """

    islands: Chance = 0.0
    holes: Chance = 0.0


def clean_up(sequence: MaskSequence, rules: CleanUpRules) -> tuple[bytes, ...]:
    """Return the run lengths of a sequence's masks after the clean-up."""
    if not (rules.islands or rules.holes):
        return sequence.runs
    # Frame by frame: a long video at full size would not fit into memory.
    cleaned = (clean_mask(sequence.mask(index), rules) for index in range(sequence.n_frames))
    return tuple(encode(mask[None])[0] for mask in cleaned)


def clean_mask(mask: Mask, rules: CleanUpRules) -> Mask:
    """Return a mask `(H, W)` without its small islands, then without small holes in what is left."""
    if rules.islands:
        mask = _drop_islands(mask, rules.islands)
    return _fill_holes(mask, rules.holes) if rules.holes else mask


def _drop_islands(mask: Mask, share: float) -> Mask:
    labels, areas = _label(mask, _NEIGHBOURS)
    if len(areas) < 3:
        return mask
    kept = areas >= share * areas[1:].sum()
    kept[1 + int(areas[1:].argmax())] = True
    kept[0] = False
    return kept[labels]


def _fill_holes(mask: Mask, share: float) -> Mask:
    labels, areas = _label(~mask, _HOLE_NEIGHBOURS)
    filled = areas < share * int(mask.sum())
    # What touches the border of the picture is outside, however small.
    filled[np.concatenate((labels[[0, -1]].ravel(), labels[:, [0, -1]].ravel()))] = False
    filled[0] = False
    return mask | filled[labels]


def _label(mask: Mask, neighbours: int) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Return the number of the part that each pixel belongs to, 0 outside of the mask, and the pixels of every part."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.view(np.uint8), connectivity=neighbours)
    return labels, statistics[:, cv2.CC_STAT_AREA].astype(np.int64)
