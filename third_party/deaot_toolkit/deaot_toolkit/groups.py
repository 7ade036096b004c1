"""More objects than a network has identities: several engines share the features of each frame."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from deaot_toolkit.engine import Engine
from deaot_toolkit.errors import EngineError
from deaot_toolkit.features import FrameFeatures
from deaot_toolkit.labels import merge_groups, split_labels, upsample_logits
from deaot_toolkit.network import VosNetwork


class EngineGroup:
    """Propagates any number of competing objects by engines of the same options, which share a network."""

    def __init__(self, network: VosNetwork, **options: Any) -> None:
        self.network = network
        self._options = options
        self.engines: tuple[Engine, ...] = ()
        self.n_objects = 0

    def reset(self) -> None:
        """Forget everything."""
        self.engines = ()
        self.n_objects = 0

    def copy(self) -> EngineGroup:
        """Return a group in the same state that goes its own way."""
        other = EngineGroup(self.network, **self._options)
        other.engines = tuple(engine.copy() for engine in self.engines)
        other.n_objects = self.n_objects
        return other

    def reference(self, features: FrameFeatures, labels: Tensor, n_objects: int) -> None:
        """Remember a frame of labels (B, h, w), 0 to n_objects. Raises EngineError: none, or shapes that misfit."""
        if n_objects < 1:
            raise EngineError(f"{n_objects} is no number of objects; a reference needs at least one")
        self.n_objects = max(self.n_objects, n_objects)
        identities = self.network.config.max_objects
        n_groups = -(-self.n_objects // identities)
        new = [Engine(self.network, **self._options) for _ in range(n_groups - len(self.engines))]
        self.engines = (*self.engines, *new)
        # To each engine the objects of the others are background.
        parts = split_labels(labels, n_groups, identities)
        for index, (engine, part) in enumerate(zip(self.engines, parts, strict=True)):
            # The last engine has fewer objects than identities, and the rest of them must not compete.
            engine.reference(features, part, min(identities, self.n_objects - index * identities))

    def propagate(self, features: FrameFeatures) -> list[Tensor]:
        """Return the logits (B, 1 + identities, h/4, w/4) of each engine for the next frame."""
        if not self.engines:
            raise EngineError("propagate: the group has no reference; call reference first")
        return [engine.propagate(features) for engine in self.engines]

    def merge(self, logits: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Return the engines' logits merged at frame size, (B, 1 + groups*identities, H, W)."""
        align_corners = self.network.config.align_corners
        return merge_groups([upsample_logits(part, size, align_corners=align_corners) for part in logits])

    def remember(self, labels: Tensor) -> None:
        """Decide the labels (B, h, w), integers 0..n_objects, of the frame at hand."""
        parts = split_labels(labels, len(self.engines), self.network.config.max_objects)
        for engine, part in zip(self.engines, parts, strict=True):
            engine.remember(part)
