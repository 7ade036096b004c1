"""What imports of soft masks share: values checked frame by frame, hard masks of them at the size of the frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.files.images import check_area
from rvos.masks.mask_sequences import KeepSoft, SoftKind, SoftMaps, encode

# The float32 sigmoid exceeds 0.5 for logits above the first number: at it and below, 1 + exp(-x) rounds to 2.
THRESHOLDS = {"logit": np.float32(1.5 * 2**-24), "probability": np.float32(0.5)}


@dataclass(slots=True)
class SoftFrames:
    """Soft masks taken in frame by frame; only what is kept of them is held.

    Args:
        size: (H, W) of the frames.
        kind: what the values are.
        keep: what to keep of them beside the hard masks.
    """

    size: tuple[int, int]
    kind: SoftKind
    keep: KeepSoft
    runs: list[bytes] = field(default_factory=list)
    _maps: list[NDArray[np.float32]] = field(default_factory=list)

    def add(self, values: NDArray[np.float32], *, where: str) -> None:
        """Take in the values `(h, w)` of the next frame; they are resized bilinearly, then thresholded.

        Raises:
            InputError: not finite, or no probabilities.
        """
        low, high = float(values.min()), float(values.max())
        if not np.isfinite(low) or not np.isfinite(high):
            raise InputError(f"{where}: values that are not finite; write it again")
        if self.kind == "probability" and (low < 0 or high > 1):
            raise InputError(f"{where}: values from {low:.3g} to {high:.3g} are no probabilities; name them logits")
        whole = values
        if values.shape != self.size:
            whole = np.asarray(
                cv2.resize(values, (self.size[1], self.size[0]), interpolation=cv2.INTER_LINEAR), np.float32
            )
        self.runs += encode((whole > THRESHOLDS[self.kind])[None])
        if self.keep:
            self._maps.append(values)

    def maps(self) -> SoftMaps | None:
        """Return what is kept."""
        return keep_maps(self._maps, self.kind, self.keep)


def keep_maps(maps: Sequence[NDArray[np.float32]], kind: SoftKind, keep: KeepSoft) -> SoftMaps | None:
    """Return soft masks `(h, w)` of the frames as they are to be kept; None: not at all."""
    if not keep:
        return None
    if kind == "logit":
        return SoftMaps.keep(np.stack(maps), keep)
    return SoftMaps.keep(np.stack(maps), keep, low=0.0, high=1.0, kind="probability")


def check_map_size(found: tuple[int, int], frames: tuple[int, int] | None, *, where: str) -> None:
    """Check that soft masks are no larger than the frames: more is no more, and fills the memory.

    Raises:
        InputError: they are larger, or a side is 0.
    """
    if min(found) < 1 or (frames is not None and (found[0] > frames[0] or found[1] > frames[1])):
        wanted = "at least 1 x 1" if frames is None else f"at most {frames[0]} x {frames[1]}"
        raise InputError(f"{where}: maps of {found[0]} x {found[1]} (h x w), expected {wanted}; write them smaller")
    check_area(found, where=where)
