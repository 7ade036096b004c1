"""CFBI and CFBI+ as a propagation engine: rows of background and objects, references and the frame before.

Source: cfbi.md, sections 3, 7 and 8.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from deaot_toolkit import network_size, upsample_logits
from numpy.typing import NDArray
from torch import Tensor

from propagate.engines import inputs
from propagate.engines.cfbi.checkpoints import load_weights
from propagate.engines.cfbi.configs import find_config
from propagate.engines.cfbi.memory import CfbiMemory, MatchingRules
from propagate.engines.cfbi.network import Cfbi, CfbiFeatures
from propagate.engines.cfbi.settings import CfbiSettings
from propagate.engines.features import FeatureCache
from propagate.engines.precision import use_precision
from propagate.engines.protocol import Augmentation, Step, list_augmentations
from propagate.frames import Frame

_MOST_OBJECTS = 16
"""Rows of one state; each costs a pass of the ensembler, so this bounds time and memory, not the network."""


def load_engine(settings: CfbiSettings, *, device: torch.device) -> CfbiEngine:
    """Return the engine of a recipe's entry. Raises CheckpointError, ConfigError: no such file, no such network."""
    config = find_config(settings.network)
    with torch.device("meta"):
        network = Cfbi(config)
    if device.type != "meta":
        network = network.to_empty(device="cpu")
    load_weights(network, settings.checkpoint, name=settings.network)
    return CfbiEngine(network.to(device).eval(), settings, device=device)


def prepare_frame(frame: NDArray[np.uint8], size: tuple[int, int], *, mirrored: bool, device: torch.device) -> Tensor:
    """Return RGB `(H, W, 3)`, 0 to 255, as network input `(1, 3, h, w)` float32, mirrored after the resize."""
    # Blue comes first, but mean and deviation are in the order of RGB: so the networks were trained.
    return inputs.prepare_frame(np.ascontiguousarray(frame[..., ::-1]), size, mirrored=mirrored, device=device)


class CfbiEngine:
    """A loaded network, in evaluation mode, with the features that its users share."""

    carries_memory = False
    most_objects = _MOST_OBJECTS

    def __init__(self, network: Cfbi, settings: CfbiSettings, *, device: torch.device) -> None:
        self._network = network
        self._settings = settings
        self.device = device
        self.augmentations = list_augmentations(settings.scales, flip=settings.flip)
        self.features = FeatureCache.of_megabytes(settings.cache_megabytes)

    def read(self, frame: Frame, augmentation: Augmentation) -> CfbiFeatures:
        """See `Engine`."""
        size = network_size(
            frame.size, align_corners=True, scale=augmentation.scale, long_edge=self._settings.longest_edge
        )

        def make() -> CfbiFeatures:
            image = prepare_frame(frame.pixels(), size, mirrored=augmentation.mirrored, device=self.device)
            with use_precision(self._settings.precision, self.device):
                return self._network.encode(image)

        features = self.features.get((frame.source, size, augmentation.mirrored), make)
        assert isinstance(features, CfbiFeatures)
        return features

    def open(self) -> CfbiSession:
        """See `Engine`."""
        return CfbiSession(self)

    def open_joint(self) -> JointSession:
        """See `Competing`."""
        return JointSession(self)

    def open_memories(self) -> list[CfbiMemory]:
        """Return an empty memory for each augmentation."""
        rules = MatchingRules(self._settings.global_rate, self._settings.min_matching_pixels)
        return [CfbiMemory(self._network, rules) for _ in self.augmentations]

    def propagate(self, memories: Sequence[CfbiMemory], features: Sequence[CfbiFeatures]) -> list[list[Tensor]]:
        """Return of each augmentation and expression the logits `(rows, h, w)` of the next frame."""
        with use_precision(self._settings.precision, self.device):
            return [memory.propagate(image) for memory, image in zip(memories, features, strict=True)]


class CfbiSession:
    """One memory for each augmentation; all of them are fed the label of the averaged probabilities."""

    def __init__(self, engine: CfbiEngine) -> None:
        self._engine = engine
        self._memories = engine.open_memories()
        self._size = (0, 0)

    def start(
        self, features: Sequence[CfbiFeatures], *, masks: Tensor | None = None, boxes: Tensor | None = None
    ) -> Step:
        """See `Session`; boxes are refused."""
        masks = self._take_masks(masks, boxes)
        self._refer(features, masks.long(), n_objects=1)
        return Step(masks.float(), masks)

    def fork(self) -> CfbiSession:
        """See `Forking`."""
        twin = copy.copy(self)
        twin._memories = [memory.copy() for memory in self._memories]
        return twin

    def step(self, features: Sequence[CfbiFeatures]) -> Step:
        """See `Session`."""
        by_augmentation = self._engine.propagate(self._memories, features)
        means = [self._average(of_one) for of_one in zip(*by_augmentation, strict=True)]
        # A tie is background, the first row.
        return Step(torch.stack([mean[1] for mean in means]), torch.stack([mean[1] > mean[0] for mean in means]))

    def commit(self, masks: Tensor) -> None:
        """See `Session`."""
        self._remember(masks.long())

    def _take_masks(self, masks: Tensor | None, boxes: Tensor | None) -> Tensor:
        return inputs.take_masks(masks, boxes, self._engine.device, networks="CFBI starts")

    def _refer(self, features: Sequence[CfbiFeatures], labels: Tensor, *, n_objects: int) -> None:
        self._size = (labels.shape[1], labels.shape[2])
        for number, (memory, image) in enumerate(zip(self._memories, features, strict=True)):
            memory.refer(image, self._mirror(labels, number), n_objects=n_objects)

    def _remember(self, labels: Tensor) -> None:
        for number, memory in enumerate(self._memories):
            memory.remember(self._mirror(labels, number))

    def _mirror(self, maps: Tensor, number: int) -> Tensor:
        """Return maps `(..., H, W)` as an augmentation sees them, or what it sees as it is."""
        return maps.flip(-1) if self._engine.augmentations[number].mirrored else maps

    def _average(self, logits: Sequence[Tensor]) -> Tensor:
        """Return the probabilities `(rows, H, W)` float32 of the logits `(rows, h, w)` of every augmentation."""
        total = torch.zeros((len(logits[0]), *self._size), device=logits[0].device)
        for number, of_one in enumerate(logits):
            large = upsample_logits(of_one[None], self._size, align_corners=True)[0]
            total += self._mirror(large, number).softmax(dim=0)
        return total / len(logits)


class JointSession(CfbiSession):
    """One memory for each augmentation, in which every mask of the batch is a row: objects compete for pixels."""

    def __init__(self, engine: CfbiEngine) -> None:
        super().__init__(engine)
        self._labels = torch.zeros(0)

    def start(
        self, features: Sequence[CfbiFeatures], *, masks: Tensor | None = None, boxes: Tensor | None = None
    ) -> Step:
        """See `Session`; where masks overlap the earlier one has the pixel."""
        masks = self._take_masks(masks, boxes)
        self._refer(features, inputs.number_masks(masks), n_objects=len(masks))
        return Step(masks.float(), masks)

    def step(self, features: Sequence[CfbiFeatures]) -> Step:
        """See `Session`; a mask is where its row is the most probable one."""
        mean = self._average([logits[0] for logits in self._engine.propagate(self._memories, features)])
        self._labels = mean.argmax(dim=0)[None]
        return Step(mean[1:], inputs.part_labels(self._labels, len(mean) - 1))

    def commit(self, masks: Tensor) -> None:
        """See `Session`; the labels stepped to are remembered, as masks of one state cannot be decided apart."""
        self._remember(self._labels)
