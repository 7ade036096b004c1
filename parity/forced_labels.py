"""A propagation engine whose memories are fed given labels, to compare probabilities past a flipped pixel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from propagate.engines import VosEngine, VosSession
from propagate.features import FeatureCache, Features
from propagate.preprocessing import prepare_labels


class ForcedEngine:
    """Passes everything on to `engine`, but the sessions remember the given labels.

    Args:
        labels: `(T, augmentations, H, W)` at frame size, before mirroring.
        key: the key frame; from it the order of frames follows.
        mirrored: of each augmentation.
    """

    def __init__(self, engine: VosEngine, labels: NDArray[np.int64], key: int, *, mirrored: tuple[bool, ...]) -> None:
        self._engine = engine
        self._labels = torch.from_numpy(labels)
        self._key = key
        self._mirrored = mirrored
        self._n_opened = 0

    @property
    def device(self) -> torch.device:
        """See `VosEngine`."""
        return self._engine.device

    @property
    def align_corners(self) -> bool:
        """See `VosEngine`."""
        return self._engine.align_corners

    @property
    def features(self) -> FeatureCache:
        """See `VosEngine`."""
        return self._engine.features

    def input_size(self, frame_size: tuple[int, int], scale: float) -> tuple[int, int]:
        """See `VosEngine`."""
        return self._engine.input_size(frame_size, scale)

    def encode(self, image: Tensor) -> Features:
        """See `VosEngine`."""
        return self._engine.encode(image)

    def open(self, *, active_objects: int | None, legacy: bool) -> VosSession:
        """Return a session; they are opened augmentation by augmentation, for each direction or for both."""
        augmentation = self._n_opened % len(self._mirrored)
        is_second_round = self._n_opened >= len(self._mirrored)
        self._n_opened += 1
        session = self._engine.open(active_objects=active_objects, legacy=legacy)
        labels, mirrored = self._labels[:, augmentation], self._mirrored[augmentation]
        return _ForcedSession(session, self._frames(is_second_round), labels, mirrored)

    def _frames(self, is_second_round: bool) -> Iterator[int]:
        """Yield the frames that a session comes to: after the key frame forwards, then before it backwards."""
        if not is_second_round:
            yield from range(self._key + 1, len(self._labels))
        yield from range(self._key - 1, -1, -1)


class _ForcedSession:
    def __init__(self, session: VosSession, frames: Iterator[int], labels: Tensor, mirrored: bool) -> None:
        self._session = session
        self._frames = frames
        self._labels = labels
        self._mirrored = mirrored

    def reference(self, features: Any, labels: Tensor) -> None:
        """See `VosSession`."""
        self._session.reference(features, labels)

    def propagate(self, features: Any) -> Tensor:
        """See `VosSession`."""
        return self._session.propagate(features)

    def remember(self, labels: Tensor) -> None:
        """Remember the given labels of the frame instead of `labels`."""
        given = self._labels[next(self._frames)][None]
        size = (labels.shape[1], labels.shape[2])
        self._session.remember(prepare_labels(given, size, mirrored=self._mirrored))
