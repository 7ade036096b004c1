"""What imports of soft masks share: values checked frame by frame, hard masks of them at the size of the frames."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.files.images import check_area
from rvos.masks.mask_sequences import KeepSoft, SoftKind, SoftMaps, encode

# The float32 sigmoid exceeds 0.5 for logits above the first number: at it and below, 1 + exp(-x) rounds to 2.
_HAIR = 2e-3
"""How far averages, softmaxes and resizing stray from [0, 1]: two steps of float16 above 1."""
THRESHOLDS = {"logit": np.float32(1.5 * 2**-24), "probability": np.float32(0.5)}


@dataclass(slots=True)
class SoftFrames:
    """Soft masks taken in frame by frame; only what is kept of them is held.

    Args:
        size: (H, W) of the frames.
        kind: what the values are.
        keep: what to keep of them beside the hard masks.
        shrink: by how much the sides of what is kept are divided.
    """

    size: tuple[int, int]
    kind: SoftKind
    keep: KeepSoft
    shrink: int = 1
    runs: list[bytes] = field(default_factory=list)
    _maps: list[NDArray[np.float32]] = field(default_factory=list)
    largest: float = 0.0
    _has_negative: bool = False
    _is_binary: bool = True

    def add(self, values: NDArray[np.float32], *, where: str) -> None:
        """Take in the next frame `(h, w)`, resized, then thresholded; raises as `check_values` does."""
        values = check_values(values, self.kind, where=where)
        self.largest = max(self.largest, float(values.max()))
        self._has_negative = self._has_negative or bool((values < 0).any())
        self._is_binary = self._is_binary and bool(((values == 0) | (values == values.max())).all())
        whole = values
        if values.shape != self.size:
            whole = np.asarray(
                cv2.resize(values, (self.size[1], self.size[0]), interpolation=cv2.INTER_LINEAR), np.float32
            )
        self.runs += encode((whole > THRESHOLDS[self.kind])[None])
        if self.keep and self.shrink > 1:
            shrunk = (max(1, values.shape[1] // self.shrink), max(1, values.shape[0] // self.shrink))
            values = np.asarray(cv2.resize(values, shrunk, interpolation=cv2.INTER_AREA), np.float32)
        if self.keep:
            self._maps.append(values)

    @property
    def may_be_logits(self) -> bool:
        """Whether some of the values are negative, or all are those of hard masks."""
        return self._has_negative or self._is_binary

    @property
    def may_be_labels(self) -> bool:
        """Whether something is marked, by one value in each frame and never by half: as labels or hard masks are."""
        return self._is_binary and self.largest > 0

    def maps(self) -> SoftMaps | None:
        """Return what is kept; None: nothing."""
        if not self.keep:
            return None
        if self.kind == "logit":
            return SoftMaps.keep(np.stack(self._maps), self.keep)
        return SoftMaps.keep(np.stack(self._maps), self.keep, low=0.0, high=1.0, kind="probability")


def check_values(values: NDArray[np.float32], kind: SoftKind, *, where: str) -> NDArray[np.float32]:
    """Return soft values, those a hair outside [0, 1] clipped. Raises InputError: not finite, or no probabilities."""
    low, high = float(values.min()), float(values.max())
    if not np.isfinite(low) or not np.isfinite(high):
        raise InputError(f"{where}: NaN or other values that are not finite; write it again")
    if kind == "logit" or (low >= 0 and high <= 1):
        return values
    if low < -_HAIR or high > 1 + _HAIR:
        raise InputError(
            f"{where}: values from {low:.8g} to {high:.8g} are no probabilities; name them logits, or "
            "say `values: logits`"
        )
    return np.clip(values, np.float32(0), np.float32(1))


def check_some_logits(may_be_logits: Iterable[bool], *, where: str, advice: str) -> None:
    """Check that values that are named logits can be: one sentence of a video may name the whole picture, but not all.

    Args:
        may_be_logits: of each sentence of a video.

    Raises:
        InputError: none can be.
    """
    found = list(may_be_logits)
    if found and not any(found):
        raise InputError(f"{where}: no value is negative, as probabilities are and logits are not; {advice}")


def check_map_size(found: tuple[int, int], frames: tuple[int, int] | None, *, where: str) -> None:
    """Check that soft masks are no larger than the frames, and not empty. Raises InputError: they are."""
    if min(found) < 1 or (frames is not None and (found[0] > frames[0] or found[1] > frames[1])):
        wanted = "at least 1 x 1" if frames is None else f"at most {frames[0]} x {frames[1]}"
        raise InputError(f"{where}: maps of {found[0]} x {found[1]} (h x w), expected {wanted}; write them smaller")
    check_area(found, where=where)
