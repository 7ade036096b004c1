"""SAM 3's tracker as a propagation engine: mask and box prompts, one memory for each object.

Source: docs/specs/sam3.md.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from deaot_toolkit.file_values import WithoutInitialValues
from sam3_toolkit.checkpoints import load_weights
from sam3_toolkit.configs import find_config
from sam3_toolkit.images import enlarge, prepare_frame
from sam3_toolkit.memory import Seen
from sam3_toolkit.session import TrackedObject, TrackerFrame
from sam3_toolkit.tracker import Found, ImageMaps, Tracker
from torch import Tensor

from propagate.engines.features import FeatureCache
from propagate.engines.inputs import translated
from propagate.engines.precision import use_precision
from propagate.engines.protocol import Augmentation, Step
from propagate.engines.sam3.settings import Sam3Settings
from propagate.frames import Frame
from rvos.errors import ConfigError, InputError


def load_engine(settings: Sam3Settings, *, device: torch.device) -> Sam3Engine:
    """Return the engine of a recipe's entry, with its checkpoint loaded.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another network.
        ConfigError: no network of that name, or an input size that it does not take.
    """
    with translated():
        outline = device.type == "meta"
        with device if outline else WithoutInitialValues():
            tracker = Tracker(find_config(settings.network), settings.image_size)
        load_weights(tracker, settings.checkpoint, network=settings.network, outline=outline)
    return Sam3Engine(tracker.to(device).eval(), settings, device=device)


class Sam3Engine:
    """A tracker with the image features that its users share.

    Args:
        tracker: with its weights, in evaluation mode, on `device`.
        settings: protocol, precision and size of the cache.
    """

    def __init__(self, tracker: Tracker, settings: Sam3Settings, *, device: torch.device) -> None:
        self.tracker = tracker
        self.device = device
        self.augmentations = (Augmentation(1.0, mirrored=False),)
        self.carries_memory = settings.protocol == "shared"
        self.features = FeatureCache.of_megabytes(settings.cache_megabytes)
        self._settings = settings

    def read(self, frame: Frame, augmentation: Augmentation) -> TrackerFrame:
        """See `Engine`; there is one augmentation."""

        def make() -> ImageMaps:
            with self.precision():
                return self.tracker.encode(prepare_frame(frame.pixels(), self.tracker.side).to(self.device))

        maps = self.features.get(frame.source, make)
        assert isinstance(maps, ImageMaps)
        return TrackerFrame(maps, frame.index, frame.n_frames, frame.size)

    @property
    def trunk_key(self) -> Hashable:
        """See `TakesMaps`."""
        own = self._settings
        return own.checkpoint.resolve(), own.network, self.tracker.side, "bicubic", own.precision

    def stand_on(self, trunk: Any) -> None:
        """See `TakesMaps`."""
        self.tracker.trunk = trunk

    def keep_map(self, source: tuple[Path, int], spread: Any) -> None:
        """See `TakesMaps`."""
        with self.precision():
            self.features.get(source, lambda: self.tracker.project(spread))

    def open(self) -> Sam3Session:
        """See `Engine`."""
        return Sam3Session(self)

    @contextmanager
    def precision(self) -> Iterator[None]:
        """The arithmetic that the recipe asks for."""
        with torch.inference_mode(), use_precision(self._settings.precision, self.device):
            yield


class Sam3Session:
    """The memories of B objects, which never meet: each gives to the bit what it gives alone."""

    def __init__(self, engine: Sam3Engine) -> None:
        self._engine = engine
        self.objects: list[TrackedObject] = []

    def start(
        self, features: Sequence[TrackerFrame], *, masks: Tensor | None = None, boxes: Tensor | None = None
    ) -> Step:
        """See `Session`; a box gives the mask that the network finds in it."""
        prompts = masks if boxes is None else boxes
        if prompts is None or (masks is not None and boxes is not None):
            raise ConfigError("SAM 3 starts from masks or from boxes; give one of both")
        (frame,) = features
        if not self.objects:
            keeps = self._engine.carries_memory
            self.objects = [TrackedObject(self._engine.tracker, keeps_turn=keeps) for _ in prompts]
        with self._engine.precision():
            for walker, prompt in zip(self.objects, prompts.to(self._engine.device), strict=True):
                if boxes is None:
                    walker.start_from_mask(frame, prompt)
                else:
                    walker.start_from_box(frame, prompt)
        if masks is not None:
            given = masks.to(self._engine.device) > 0
            return Step(given.float(), given, given.flatten(1).any(dim=1).float())
        return self._collect([walker.prompted(frame) for walker in self.objects], frame.size)

    def step(self, features: Sequence[TrackerFrame]) -> Step:
        """See `Session`; a frame that was prompted gives what it gave then.

        Raises:
            InputError: no prompt was given before.
        """
        if not self.objects:
            raise InputError("SAM 3: a session steps before it has a prompt; start it from a mask or a box")
        (frame,) = features
        with self._engine.precision():
            return self._collect([walker.step(frame) for walker in self.objects], frame.size)

    def commit(self, masks: Tensor) -> None:
        """See `Session`; where the masks are the network's own it remembers its probabilities, else the masks."""
        with self._engine.precision():
            for walker, mask in zip(self.objects, masks, strict=True):
                walker.commit(mask)

    def _collect(self, found: Sequence[Found | Seen], size: tuple[int, int]) -> Step:
        logits = torch.stack([enlarge(one.logits, size)[0, 0] for one in found])
        scores = torch.stack([one.score.float().reshape(()) for one in found])
        # Where the object is not there all logits are -1024, and the probability is 0.
        return Step(logits.sigmoid(), logits > 0, scores.sigmoid())
