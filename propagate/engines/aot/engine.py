"""The toolkit's AOT and DeAOT networks as a propagation engine.

Labels, network sizes, mirroring and the two protocols of the 2023 entry end here: outside there are frames and masks.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import deaot_toolkit
import torch
from deaot_toolkit import FrameFeatures
from torch import Tensor

from propagate.engines.aot.frames import pick_labels, prepare_labels, to_probabilities
from propagate.engines.aot.settings import AotSettings
from propagate.engines.features import FeatureCache, Features
from propagate.engines.inputs import number_masks, part_labels, prepare_frame, take_masks, translated
from propagate.engines.precision import use_precision
from propagate.engines.protocol import Augmentation, Step, list_augmentations
from propagate.frames import Frame


@dataclass(frozen=True, slots=True)
class AotRules:
    """What tells one protocol from another.

    Args:
        carry_memory: the backward pass starts with the forward pass's memory and counters; the second reference
            adds to the memory and sets the last write to 0 while the frame counter runs on, as in the 2023 release.
        active_objects: identities that compete; None: all that the network has.
    """

    carry_memory: bool
    active_objects: int | None


AOT_PROTOCOLS = {
    "fresh": AotRules(carry_memory=False, active_objects=1),
    "legacy": AotRules(carry_memory=True, active_objects=None),
}


def load_engine(settings: AotSettings, *, device: torch.device) -> AotEngine:
    """Return the engine of a recipe's entry. Raises CheckpointError, ConfigError: no such file, no such network."""
    with translated():
        network = deaot_toolkit.load(settings.checkpoint, settings.network, outline=device.type == "meta")
    return AotEngine(network.to(device).eval(), settings, device=device)


class AotEngine:
    """A network of the toolkit with the features that its users share.

    Args:
        network: loaded, in evaluation mode, on `device`.
        settings: sizes, memory, precision and protocol.
        rules: instead of those of the settings' protocol.
    """

    def __init__(
        self, network: Any, settings: AotSettings, *, device: torch.device, rules: AotRules | None = None
    ) -> None:
        self._network = network
        self._settings = settings
        self.device = device
        self.rules = AOT_PROTOCOLS[settings.protocol] if rules is None else rules
        self.augmentations = list_augmentations(settings.scales, flip=settings.flip)
        self.features = FeatureCache.of_megabytes(settings.cache_megabytes)

    @property
    def carries_memory(self) -> bool:
        """See `Engine`."""
        return self.rules.carry_memory

    @property
    def align_corners(self) -> bool:
        """How logits are brought to frame size."""
        return bool(self._network.config.align_corners)

    @property
    def most_objects(self) -> int:
        """See `Competing`."""
        return int(self._network.config.max_objects)

    def input_size(self, frame_size: tuple[int, int], scale: float) -> tuple[int, int]:
        """Return the network's input size for frames of (H, W) at a scale; tiny frames are enlarged to one cell."""
        return deaot_toolkit.network_size(
            frame_size, align_corners=self.align_corners, scale=scale, long_edge=self._settings.long_edge
        )

    def read(self, frame: Frame, augmentation: Augmentation) -> Features:
        """See `Engine`."""
        size = self.input_size(frame.size, augmentation.scale)

        def make() -> Features:
            image = prepare_frame(frame.pixels(), size, mirrored=augmentation.mirrored, device=self.device)
            return self.encode(image)

        return self.features.get((frame.source, size, augmentation.mirrored), make)

    def encode(self, image: Tensor) -> FrameFeatures:
        """Return the features of an image `(1, 3, h, w)`, normalised."""
        with self.precision():
            return self._network.encode(image)

    def open(self) -> AotSession:
        """See `Engine`."""
        return AotSession(self)

    def open_joint(self) -> JointSession:
        """See `Competing`."""
        return JointSession(self)

    def open_core(self) -> deaot_toolkit.Engine:
        """Return the memory of one augmentation."""
        with translated():
            return deaot_toolkit.Engine(
                self._network,
                active_objects=self.rules.active_objects,
                long_term_gap=self._settings.long_term_gap,
                max_memory_frames=self._settings.max_memory_frames,
                legacy_counter=self.rules.carry_memory,
            )

    @contextmanager
    def precision(self) -> Iterator[None]:
        """The arithmetic that the recipe asks for; the toolkit's errors become ours."""
        with translated(), use_precision(self._settings.precision, self.device):
            yield


class AotSession:
    """One memory for each augmentation; all of them are fed the labels of the averaged probabilities."""

    def __init__(self, engine: AotEngine) -> None:
        self._engine = engine
        self._cores = [engine.open_core() for _ in engine.augmentations]
        self._inputs: list[tuple[int, int]] = []
        self._size = (0, 0)
        self._labels = torch.zeros(0)

    def start(self, features: Sequence[Any], *, masks: Tensor | None = None, boxes: Tensor | None = None) -> Step:
        """See `Session`; boxes are refused."""
        given = self._take_masks(masks, boxes)
        # Stated, because an empty mask would otherwise count as no object.
        self._begin(features, given.long(), n_objects=1)
        return Step(given.float(), given)

    def fork(self) -> AotSession:
        """See `Forking`."""
        twin = copy.copy(self)
        twin._cores = [core.copy() for core in self._cores]
        return twin

    def _take_masks(self, masks: Tensor | None, boxes: Tensor | None) -> Tensor:
        return take_masks(masks, boxes, self._engine.device, networks="AOT and DeAOT start")

    def _begin(self, features: Sequence[Any], labels: Tensor, *, n_objects: int) -> None:
        """Remember a frame with labels `(B, H, W)` that are given."""
        self._size = (labels.shape[1], labels.shape[2])
        self._inputs = [image.size for image in features]
        with self._engine.precision():
            for number, core in enumerate(self._cores):
                core.reference(features[number], self._to_input(labels, number), n_objects=n_objects)

    def step(self, features: Sequence[Any]) -> Step:
        """See `Session`."""
        logits = self._propagate(features)
        if (active := self._engine.rules.active_objects) is not None:
            # The toolkit suppresses identities that are not in use; without their channels the softmax is the same.
            logits = [of_all[:, : 1 + active] for of_all in logits]
        foreground, labels = [], []
        for row in range(logits[0].shape[0]):
            # Expression by expression: at frame size the maps are large, and few of their channels have to be kept.
            mean = self.average([of_all[row : row + 1] for of_all in logits])
            foreground.append(1 - mean[0])
            labels.append(pick_labels(mean))
        self._labels = torch.stack(labels)
        return Step(torch.stack(foreground), self._labels > 0)

    def commit(self, masks: Tensor) -> None:
        """See `Session`; where an identity won it is remembered, elsewhere in the masks the first one is."""
        self.remember(torch.where(masks, self._labels.clamp(min=1), 0).expand(len(self._cores), *masks.shape))

    def _propagate(self, features: Sequence[Any]) -> list[Tensor]:
        """Return the logits of the next frame, one tensor an augmentation."""
        with self._engine.precision():
            return [core.propagate(image) for core, image in zip(self._cores, features, strict=True)]

    def average(self, logits: Sequence[Tensor]) -> Tensor:
        """Return one expression's mean probabilities `(1 + identities, H, W)` of the augmentations' logits."""
        total = torch.zeros((logits[0].shape[1], *self._size), device=logits[0].device)
        for augmentation, of_one in zip(self._engine.augmentations, logits, strict=True):
            total += to_probabilities(
                of_one, self._size, align_corners=self._engine.align_corners, mirrored=augmentation.mirrored
            )[0]
        return total / len(logits)

    def remember(self, labels: Tensor) -> None:
        """Remember the frame stepped to last with labels `(augmentations, B, H, W)` int64."""
        with self._engine.precision():
            for number, core in enumerate(self._cores):
                core.remember(self._to_input(labels[number], number))

    def _to_input(self, labels: Tensor, number: int) -> Tensor:
        mirrored = self._engine.augmentations[number].mirrored
        return prepare_labels(labels, self._inputs[number], mirrored=mirrored)


class JointSession(AotSession):
    """One memory for each augmentation, in which every mask of the batch is an identity."""

    _n_objects = 0

    def start(self, features: Sequence[Any], *, masks: Tensor | None = None, boxes: Tensor | None = None) -> Step:
        """See `Session`; where masks overlap the earlier one has the pixel."""
        given = self._take_masks(masks, boxes)
        self._n_objects = len(given)
        self._begin(features, number_masks(given), n_objects=self._n_objects)
        return Step(given.float(), given)

    def step(self, features: Sequence[Any]) -> Step:
        """See `Session`; a mask is where its identity is the most probable one."""
        mean = self.average([of_all[:, : 1 + self._n_objects] for of_all in self._propagate(features)])
        self._labels = pick_labels(mean)[None]
        return Step(mean[1:], part_labels(self._labels, self._n_objects))

    def commit(self, masks: Tensor) -> None:
        """See `Session`; the labels stepped to are remembered, as masks of one state cannot be decided apart."""
        self.remember(self._labels.expand(len(self._cores), *self._labels.shape))
