"""AOT and DeAOT with the objects of a batch as identities of one state, so that they compete for pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from propagate.engines.aot.engine import AotEngine, AotSession
from propagate.engines.aot.frames import pick_labels
from propagate.engines.features import FeatureCache
from propagate.engines.protocol import Augmentation, Step
from propagate.frames import Frame
from rvos.errors import ConfigError


class JointEngine:
    """An AOT engine whose sessions are one state of several objects; features are those of the engine.

    Args:
        engine: of the toolkit's networks.
    """

    def __init__(self, engine: AotEngine) -> None:
        self._engine = engine
        self.augmentations = engine.augmentations
        self.carries_memory = engine.carries_memory

    @property
    def most_objects(self) -> int:
        """How many can compete in one state."""
        return self._engine.n_identities

    @property
    def features(self) -> FeatureCache:
        """See `Engine`."""
        return self._engine.features

    def read(self, frame: Frame, augmentation: Augmentation) -> Any:
        """See `Engine`."""
        return self._engine.read(frame, augmentation)

    def open(self) -> JointSession:
        """See `Engine`."""
        return JointSession(self._engine)


class JointSession(AotSession):
    """One memory for each augmentation, in which every mask of the batch is an identity."""

    _n_objects = 0

    def start(self, features: Sequence[Any], *, masks: Tensor | None = None, boxes: Tensor | None = None) -> Step:
        """See `Session`; where masks overlap the earlier one has the pixel."""
        if masks is None or boxes is not None:
            raise ConfigError("AOT and DeAOT start from masks, not from boxes; name an engine that takes boxes")
        masks = masks.to(self._engine.device) > 0
        self._n_objects = masks.shape[0]
        numbers = torch.arange(self._n_objects, 0, -1, device=masks.device)[:, None, None]
        highest = (masks * numbers).amax(dim=0)
        labels = torch.where(highest > 0, self._n_objects + 1 - highest, 0)[None]
        self._begin(features, labels, n_objects=self._n_objects)
        return Step(masks.float(), masks)

    def step(self, features: Sequence[Any]) -> Step:
        """See `Session`; a mask is where its identity is the most probable one."""
        with self._engine.precision():
            logits = [core.propagate(image) for core, image in zip(self._cores, features, strict=True)]
        mean = self.average([of_all[:, : 1 + self._n_objects] for of_all in logits])
        self._labels = pick_labels(mean)[None]
        numbers = torch.arange(1, self._n_objects + 1, device=mean.device)[:, None, None]
        return Step(mean[1:], self._labels == numbers)

    def commit(self, masks: Tensor) -> None:
        """See `Session`; the labels stepped to are remembered, as masks of one state cannot be decided apart."""
        self.remember(self._labels.expand(len(self._cores), *self._labels.shape))
