"""SAM 2 and 2.1 as a propagation engine: mask and box prompts, one memory for each object.

Source: docs/specs/sam2.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from deaot_toolkit.file_values import WithoutInitialValues
from torch import Tensor

from propagate.engines.features import FeatureCache
from propagate.engines.precision import use_precision
from propagate.engines.protocol import Augmentation, Step
from propagate.engines.sam2.checkpoints import load_weights
from propagate.engines.sam2.input import enlarge, prepare_box, prepare_frame, prepare_mask
from propagate.engines.sam2.memory import ObjectMemory, Seen
from propagate.engines.sam2.network import Found, ImageMaps, Sam2Network
from propagate.engines.sam2.settings import Sam2Settings
from propagate.engines.sam2.sizes import IMAGE_SIDE, find_config
from propagate.frames import Frame
from rvos.errors import ConfigError, InputError


def load_engine(settings: Sam2Settings, *, device: torch.device) -> Sam2Engine:
    """Return the engine of a recipe's entry, with its checkpoint loaded.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another network.
        ConfigError: no network of that name, or an input size that it does not take.
    """
    config = find_config(settings.network, settings.image_size or IMAGE_SIDE)
    outline = device.type == "meta"
    with device if outline else WithoutInitialValues():
        network = Sam2Network(config)
    load_weights(network.model, settings.checkpoint, network=settings.network, outline=outline)
    return Sam2Engine(network.to(device).eval(), settings, device=device)


@dataclass(frozen=True, slots=True)
class Sam2Features:
    """A frame as sessions see it: its maps are shared, its place tells how far memories are away."""

    maps: ImageMaps
    index: int
    n_frames: int
    size: tuple[int, int]


class Sam2Engine:
    """A SAM 2 network with its weights, in evaluation mode, and the image features that its users share."""

    def __init__(self, network: Sam2Network, settings: Sam2Settings, *, device: torch.device) -> None:
        self.network = network
        self.device = device
        self.augmentations = (Augmentation(1.0, mirrored=False),)
        self.carries_memory = settings.protocol == "shared"
        self.features = FeatureCache.of_megabytes(settings.cache_megabytes)
        self._precision = settings.precision

    def read(self, frame: Frame, augmentation: Augmentation) -> Sam2Features:
        """See `Engine`; there is one augmentation."""

        def make() -> ImageMaps:
            with self.precision():
                return self.network.encode(prepare_frame(frame.pixels(), self.network.side).to(self.device))

        maps = self.features.get(frame.source, make)
        assert isinstance(maps, ImageMaps)
        return Sam2Features(maps, frame.index, frame.n_frames, frame.size)

    def open(self) -> Sam2Session:
        """See `Engine`."""
        return Sam2Session(self)

    @contextmanager
    def precision(self) -> Iterator[None]:
        """The arithmetic that the recipe asks for."""
        with torch.inference_mode(), use_precision(self._precision, self.device):
            yield


class Sam2Session:
    """The memories of B objects, which never meet: each gives to the bit what it gives alone."""

    def __init__(self, engine: Sam2Engine) -> None:
        self._engine = engine
        self.objects: list[Sam2Object] = []

    def start(
        self, features: Sequence[Sam2Features], *, masks: Tensor | None = None, boxes: Tensor | None = None
    ) -> Step:
        """See `Session`; a box gives the mask that the network finds in it."""
        prompts = masks if boxes is None else boxes
        if prompts is None or (masks is not None and boxes is not None):
            raise ConfigError("SAM 2 starts from masks or from boxes; give one of both")
        (frame,) = features
        if not self.objects:
            self.objects = [Sam2Object(self._engine) for _ in prompts]
        with self._engine.precision():
            for memory, prompt in zip(self.objects, prompts.to(self._engine.device), strict=True):
                if boxes is None:
                    memory.start_from_mask(frame, prompt)
                else:
                    memory.start_from_box(frame, prompt)
        if masks is not None:
            given = masks.to(self._engine.device) > 0
            return Step(given.float(), given, given.flatten(1).any(dim=1).float())
        return self._collect([memory.prompted(frame) for memory in self.objects], frame.size)

    def step(self, features: Sequence[Sam2Features]) -> Step:
        """See `Session`; a prompted frame gives what it gave then. Raises InputError: no prompt came before."""
        if not self.objects:
            raise InputError("SAM 2: a session steps before it has a prompt; start it from a mask or a box")
        (frame,) = features
        with self._engine.precision():
            return self._collect([memory.step(frame) for memory in self.objects], frame.size)

    def commit(self, masks: Tensor) -> None:
        """See `Session`; where the masks are the network's own it remembers its probabilities, else the masks."""
        with self._engine.precision():
            for memory, mask in zip(self.objects, masks, strict=True):
                memory.commit(mask)

    def _collect(self, found: Sequence[Found | Seen], size: tuple[int, int]) -> Step:
        logits = torch.stack([enlarge(one.logits, size)[0, 0] for one in found])
        scores = torch.stack([one.score.float().reshape(()) for one in found])
        # Where the object is not there all logits are -1024, and the probability is 0.
        return Step(logits.sigmoid(), logits > 0, scores.sigmoid())


class Sam2Object:
    """One object on its way through a video."""

    def __init__(self, engine: Sam2Engine) -> None:
        self.memory = ObjectMemory(keeps_turn=engine.carries_memory)
        self._network = engine.network
        self._last = 0
        self._at_hand: tuple[Sam2Features, Found] | None = None

    def start_from_mask(self, frame: Sam2Features, mask: Tensor) -> None:
        """Take a mask `(H, W)` as the truth of a frame."""
        self._prompt(frame, self._network.given_mask(frame.maps, prepare_mask(mask, self._network.side)))

    def start_from_box(self, frame: Sam2Features, box: Tensor) -> None:
        """Find the object in a box `(4,)`, x0, y0, x1, y1 in pixels of the frame."""
        corners = prepare_box(box, frame.size, self._network.side)
        self._prompt(frame, self._network.given_box(frame.maps, corners))

    def prompted(self, frame: Sam2Features) -> Seen:
        """Return what a prompted frame gave."""
        return self.memory.prompted[frame.index]

    def step(self, frame: Sam2Features) -> Found | Seen:
        """Return the outcome of the next frame in the direction of travel."""
        backwards, self._last = frame.index < self._last, frame.index
        if frame.index in self.memory.prompted:
            self._at_hand = None
            return self.memory.prompted[frame.index]
        recalled = self.memory.recall(frame.index, backwards=backwards, n_frames=frame.n_frames)
        found = self._network.track(frame.maps, recalled, frame.n_frames)
        self._at_hand = frame, found
        return found

    def commit(self, mask: Tensor) -> None:
        """Remember the frame stepped to last; prompted frames stay as they are."""
        if self._at_hand is None:
            return
        frame, found = self._at_hand
        if not torch.equal(mask, enlarge(found.logits, frame.size)[0, 0] > 0):
            found = self._network.given_mask(frame.maps, prepare_mask(mask, self._network.side))
        self.memory.track(frame.index, self._network.remember(frame.maps, found, is_prompt=False))
        self._at_hand = None

    def _prompt(self, frame: Sam2Features, found: Found) -> None:
        self.memory.prompt(frame.index, self._network.remember(frame.maps, found, is_prompt=True))
        self._last = frame.index
