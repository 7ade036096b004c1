"""An AOT engine that writes down its averaged probabilities, and can be fed given labels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from propagate.engines.aot.engine import AotEngine, AotRules, AotSession
from propagate.engines.aot.settings import AotSettings
from propagate.engines.protocol import Augmentation


class RecordingEngine(AotEngine):
    """An engine of one expression with its key frame at `key`, and of augmentations that replace the settings'.

    Args:
        labels: `(T, augmentations, H, W)` at frame size, before mirroring: what the memories are fed instead of the
            network's own labels, to compare probabilities past a flipped pixel.
    """

    def __init__(
        self,
        network: Any,
        settings: AotSettings,
        *,
        rules: AotRules,
        augmentations: Sequence[Augmentation],
        key: int = 0,
        labels: NDArray[np.int64] | None = None,
    ) -> None:
        super().__init__(network, settings, device=torch.device("cpu"), rules=rules)
        self.augmentations = tuple(augmentations)
        self.means: list[Tensor] = []
        """Probabilities `(1 + identities, H, W)` of every step, in the order of the predictions."""
        self.given = iter(()) if labels is None else _in_order(torch.from_numpy(labels), key)

    def open(self) -> AotSession:
        """See `Engine`."""
        return _RecordingSession(self)


def _in_order(labels: Tensor, key: int) -> Iterator[Tensor]:
    """Yield the labels `(augmentations, H, W)` of the frames after the key frame, then of those before it."""
    yield from labels[key + 1 :]
    yield from labels[:key].flip(0)


class _RecordingSession(AotSession):
    def __init__(self, engine: RecordingEngine) -> None:
        super().__init__(engine)
        self._recorder = engine

    def average(self, logits: Sequence[Tensor]) -> Tensor:
        mean = super().average(logits)
        self._recorder.means.append(mean)
        return mean

    def commit(self, masks: Tensor) -> None:
        given = next(self._recorder.given, None)
        if given is None:
            super().commit(masks)
        else:
            self.remember(given[:, None])
