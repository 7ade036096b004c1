"""Pictures of what a network marks in validation videos, for whoever watches a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from rvos.evaluation.truth import IndexTruth
from rvos.masks.mask_sequences import MaskSequence
from rvos_fusion.training.data.videos import LabelledVideo

_LONGEST_SIDE = 480
_TINT = 0.5
_PREDICTED = np.array((255, 140, 0), np.float32)
_TRUTH = (255, 255, 255)

Picture = NDArray[np.uint8]


class MaskPictures:
    """The pictures of one validation, at most one of each of the first videos, which steps can be compared by."""

    def __init__(self, most: int = 4) -> None:
        self._most = most
        self._taken: dict[str, Picture] = {}

    def clear(self) -> None:
        """Forget the pictures: a validation begins."""
        self._taken.clear()

    def taken(self) -> Mapping[str, Picture]:
        """Return the pictures (H, W, 3) by name."""
        return dict(self._taken)

    @property
    def is_full(self) -> bool:
        """Whether no more pictures are wanted."""
        return len(self._taken) >= self._most

    def add(self, name: str, frame: Picture, predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> None:
        """Keep a picture of a frame (H, W, 3) and of masks (H, W), unless there are enough."""
        if not self.is_full:
            self._taken[name] = draw(frame, predicted, truth)

    def add_first(self, video: LabelledVideo, sequences: Sequence[MaskSequence]) -> None:
        """Keep a picture of the first sentence's key frame."""
        if self.is_full or not sequences:
            return
        sequence = sequences[0]
        index = sequence.pick_key_frame()
        expression = next(one for one in video.video.expressions if one.id == sequence.expression)
        truth = IndexTruth(video.labels([index])).masks(expression)[0]
        name = f"{video.video.id}/{expression.id} {expression.text}"
        self.add(name, video.frames([index])[0], sequence.masks()[index].astype(np.bool_), truth)


def draw(frame: Picture, predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Picture:
    """Return a frame with the predicted mask tinted orange and the true one outlined in white, made small."""
    drawn = frame.astype(np.float32)
    drawn[predicted] += _TINT * (_PREDICTED - drawn[predicted])
    factor = min(1.0, _LONGEST_SIDE / max(frame.shape[:2]))
    size = (max(1, round(frame.shape[1] * factor)), max(1, round(frame.shape[0] * factor)))
    small: Picture = np.rint(cv2.resize(drawn, size, interpolation=cv2.INTER_AREA)).astype(np.uint8)
    mask = cv2.resize(truth.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST)
    small[(mask > 0) & (cv2.erode(mask, np.ones((3, 3), np.uint8)) == 0)] = _TRUTH
    return small
