"""Soft fusion: the weighted mean of the members' probabilities, thresholded at frame size."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from fusion.votes import check_alike
from rvos.errors import FusionError
from rvos.masks.mask_sequences import MaskSequence, SoftMaps, encode


def average(members: Sequence[MaskSequence], *, weights: Sequence[int], threshold: float = 0.5) -> tuple[bytes, ...]:
    """Return the run lengths, one a frame, of the pixels whose mean probability is above `threshold`.

    Args:
        members: sequences of one group, same frames and size; masks without soft maps are probabilities 0 and 1.
        weights: one for each member.
        threshold: in (0, 1); exactly this probability is background.

    Raises:
        FusionError: no members, or unequal ones.
    """
    if not members:
        raise FusionError("an average without members; name at least one member")
    check_alike(members)
    shares = np.asarray(weights, np.float64) / sum(weights)
    first = members[0]
    return tuple(_average_frame(members, shares, index, threshold) for index in range(first.n_frames))


def _average_frame(members: Sequence[MaskSequence], shares: NDArray[np.float64], index: int, threshold: float) -> bytes:
    """Return the run lengths of one frame; only one frame is ever dense."""
    total = np.zeros(members[0].size, np.float32)
    for member, share in zip(members, shares, strict=True):
        if member.soft is None:
            total += np.float32(share) * member.mask(index)
        else:
            total += np.float32(share) * frame_probabilities(member.soft, index, member.size)
    return encode((total > threshold)[None])[0]


def frame_probabilities(maps: SoftMaps, index: int, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return the probabilities `(H, W)` in [0, 1] of one frame: soft values resized bilinearly, then the sigmoid."""
    single = SoftMaps(maps.values[index : index + 1], maps.low, maps.high, maps.kind).dequantise()[0]
    resized = np.asarray(cv2.resize(single, (size[1], size[0]), interpolation=cv2.INTER_LINEAR), np.float32)
    if maps.kind == "probability":
        return resized
    return np.asarray(1 / (1 + np.exp(-resized)), np.float32)
