"""Predictions of one expression gathered into a mask sequence."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import interpolate

from propagate.passes import Prediction
from rvos.masks.mask_sequences import KeepSoft, MaskSequence, SoftMaps, encode
from rvos.masks.runs import Runs
from rvos.videos import Video

_SOFT_STRIDE = 4


class SequenceCollector:
    """Replaces the masks of `source`, frame by frame, by what was predicted.

    The propagation probability of a frame is the mean foreground probability inside its mask: 0 without a mask, and 1
    on the key frame, whose mask was given.

    Args:
        source: the sequence that was propagated; frames without a prediction keep its masks.
        key: the key frame that was used.
        keep_soft: also gather the object's probability at a quarter of the frame size, in `uint8` (true) or `float16`.
        weigh_presence: multiply propagation probabilities with how sure the engine is that the object is there.
    """

    def __init__(
        self, source: MaskSequence, *, key: int, keep_soft: KeepSoft = False, weigh_presence: bool = False
    ) -> None:
        self._source = source
        self._key = key
        self._keep_soft = keep_soft
        self._weigh_presence = weigh_presence
        self._runs = list(source.runs)
        self._propagation = np.zeros(source.n_frames, np.float32)
        self._propagation[key] = source.mask(key).any()
        self._soft: dict[int, NDArray[np.float32]] | None = {} if keep_soft else None
        self._is_changed = False

    def add(self, prediction: Prediction) -> None:
        """Take over one frame."""
        self._is_changed = True
        self._runs[prediction.frame] = encode(prediction.mask.cpu().numpy()[None])[0]
        is_weighed = self._weigh_presence and prediction.presence is not None
        presence = float(prediction.presence) if is_weighed else 1.0  # type: ignore[arg-type]
        n_pixels = int(prediction.mask.sum())
        self._propagation[prediction.frame] = presence * (
            float((prediction.probability * prediction.mask).sum(dtype=torch.float64)) / n_pixels if n_pixels else 0.0
        )
        if self._soft is not None:
            self._soft[prediction.frame] = _shrink(prediction.probability)

    def finish(self) -> MaskSequence:
        """Return the sequence; where nothing was predicted it is the source, soft maps included."""
        if not self._is_changed:
            # A video of one frame has nothing to predict, and yet its mask starts a propagation.
            alone = self._propagation if self._propagation.any() else None
            return replace(self._source, key_frame=self._key, propagation=alone)
        return replace(
            self._source,
            runs=tuple(self._runs),
            key_frame=self._key,
            soft=self._stack_soft(),
            propagation=self._propagation,
        )

    def _stack_soft(self) -> SoftMaps | None:
        if self._soft is None:
            return None
        maps = [
            self._soft[frame] if frame in self._soft else _shrink_mask(self._source, frame)
            for frame in range(self._source.n_frames)
        ]
        return _keep(maps, self._keep_soft)


def begin_sequence(video: Video, frame: int, size: tuple[int, int], mask: bytes) -> MaskSequence:
    """Return a sequence of no sentence with a mask in its key frame alone, as run lengths."""
    runs = list(Runs.empty(video.n_frames, size).encode())
    runs[frame] = mask
    scores = np.zeros(video.n_frames, np.float32)
    return MaskSequence(video.id, "", video.frames, size, tuple(runs), scores, key_frame=frame)


def shrink_masks(sequence: MaskSequence, keep_soft: KeepSoft) -> SoftMaps | None:
    """Return the masks of a sequence as soft maps like those that are gathered; None: they are not kept."""
    return _keep([_shrink_mask(sequence, frame) for frame in range(sequence.n_frames)], keep_soft)


def _keep(maps: list[NDArray[np.float32]], keep_soft: KeepSoft) -> SoftMaps | None:
    return SoftMaps.keep(np.stack(maps), keep_soft, low=0.0, high=1.0, kind="probability")


def _shrink_mask(sequence: MaskSequence, frame: int) -> NDArray[np.float32]:
    return _shrink(torch.from_numpy(sequence.mask(frame)).float())


def _shrink(probabilities: Tensor) -> NDArray[np.float32]:
    """Return probabilities `(H, W)` averaged over squares of four pixels, `(H / 4, W / 4)` rounded up."""
    size = tuple(-(-side // _SOFT_STRIDE) for side in probabilities.shape)
    return np.asarray(interpolate(probabilities[None, None], size=size, mode="area")[0, 0].cpu(), dtype=np.float32)
