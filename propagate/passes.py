"""The two passes over a video: all expressions advance together, first forwards, then backwards.

Features of a frame are needed once on the way forward and once on the way back, for any number of expressions.
Per expression the order of engine calls is that of the 2023 release: the key frame as reference, then propagate
and remember for every later frame; the key frame again, then the same for every earlier frame.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from propagate.engines import VosEngine, VosSession
from propagate.features import Features
from propagate.preprocessing import Augmentation, pick_labels, prepare_frame, prepare_labels, to_probabilities
from rvos.errors import CheckpointError, InputError
from rvos.videos import Video


@dataclass(frozen=True, slots=True)
class Rules:
    """What tells one protocol from another.

    Args:
        carry_memory: the backward pass starts with the forward pass's memory and counters.
        active_objects: identities that compete; None: all that the network has.
        own_labels: every augmentation remembers its own labels instead of the common ones.
    """

    carry_memory: bool
    active_objects: int | None
    own_labels: bool = False


PROTOCOLS = {
    "fresh": Rules(carry_memory=False, active_objects=1),
    "legacy": Rules(carry_memory=True, active_objects=None),
}


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Expressions that start from the same frames and are batched.

    Args:
        references: frames to start from, the key frame last.
        positions: of the expressions in the caller's list.
        masks: `(references, expressions, H, W)` uint8, 1 = object.
    """

    references: tuple[int, ...]
    positions: tuple[int, ...]
    masks: Tensor

    @property
    def key(self) -> int:
        """The key frame."""
        return self.references[-1]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """One frame of one expression.

    Args:
        position: of the expression in the caller's list.
        frame: index.
        probabilities: `(1 + identities, H, W)` float32, mean over the augmentations.
        labels: `(H, W)` int64, their argmax; every identity counts as the object.
        fed: `(augmentations, H, W)` int64, what each memory was given.
    """

    position: int
    frame: int
    probabilities: Tensor
    labels: Tensor
    fed: Tensor


def run_passes(
    video: Video,
    tracks: Sequence[Track],
    *,
    engine: VosEngine,
    rules: Rules,
    augmentations: Sequence[Augmentation],
) -> Iterator[Prediction]:
    """Yield the predictions of all tracks: the forward pass by frame, then the backward pass."""
    state = _State(video, engine, rules, tuple(augmentations))
    last = video.n_frames - 1
    for order in (range(video.n_frames), range(last, -1, -1)):
        end = order[-1]
        if not rules.carry_memory:
            state.sessions.clear()
        waiting = [track for track in tracks if track.key != end]
        running: list[Track] = []
        for frame in order:
            for track in running:
                yield from state.advance(track, frame)
            starting = [track for track in waiting if track.key == frame]
            for track in starting:
                state.start(track)
            running += starting


class _State:
    """The open sessions and the reading of frames of one round over a video."""

    def __init__(self, video: Video, engine: VosEngine, rules: Rules, augmentations: tuple[Augmentation, ...]) -> None:
        self.sessions: dict[Track, list[VosSession]] = {}
        self._video = video
        self._engine = engine
        self._rules = rules
        self._augmentations = augmentations
        self._size = video.read_size()
        self._at_hand: tuple[int, list[Features]] | None = None
        self._decoded: tuple[int, NDArray[np.uint8]] | None = None
        self._sizes = [engine.input_size(self._size, augmentation.scale) for augmentation in augmentations]

    @torch.inference_mode()
    def start(self, track: Track) -> None:
        """Give every session of a track its reference frames."""
        if track not in self.sessions:
            self.sessions[track] = [
                self._engine.open(active_objects=self._rules.active_objects, legacy=self._rules.carry_memory)
                for _ in self._augmentations
            ]
        for frame, masks in zip(track.references, track.masks, strict=True):
            features = self._features(frame)
            labels = masks.to(self._engine.device)
            for number, session in enumerate(self.sessions[track]):
                session.reference(features[number], self._to_input(labels, number))

    @torch.inference_mode()
    def advance(self, track: Track, frame: int) -> list[Prediction]:
        """Propagate a track to the next frame, remember the outcome and return it."""
        features = self._features(frame)
        sessions = self.sessions[track]
        logits = [self._usable(s.propagate(f)) for s, f in zip(sessions, features, strict=True)]
        predictions = [self._decide(track, row, frame, logits) for row in range(len(track.positions))]
        for number, session in enumerate(sessions):
            fed = torch.stack([prediction.fed[number] for prediction in predictions])
            session.remember(self._to_input(fed, number))
        return predictions

    def _usable(self, logits: Tensor) -> Tensor:
        """Return the channels that may win: background and the active identities."""
        active = self._rules.active_objects
        return logits if active is None else logits[:, : 1 + active]

    def _decide(self, track: Track, row: int, frame: int, logits: Sequence[Tensor]) -> Prediction:
        """Average one expression's probabilities over the augmentations and take the most probable labels.

        Expression by expression: at frame size the maps are large, and only the labels have to be kept.
        """
        total = torch.zeros((logits[0].shape[1], *self._size), device=logits[0].device)
        own = []
        for augmentation, of_all in zip(self._augmentations, logits, strict=True):
            probabilities = to_probabilities(
                of_all[row : row + 1],
                self._size,
                align_corners=self._engine.align_corners,
                mirrored=augmentation.mirrored,
            )[0]
            if self._rules.own_labels:
                own.append(pick_labels(probabilities))
            total += probabilities
        mean = total / len(logits)
        if not torch.isfinite(mean).all():
            raise CheckpointError(
                f"{self._video.id}: propagation to frame {self._video.frames[frame]} gives values that are not finite; "
                "get the checkpoint again, or set precision to float32"
            )
        labels = pick_labels(mean)
        fed = torch.stack(own) if own else labels.expand(len(logits), *labels.shape)
        return Prediction(track.positions[row], frame, mean, labels, fed)

    def _to_input(self, labels: Tensor, number: int) -> Tensor:
        return prepare_labels(labels, self._sizes[number], mirrored=self._augmentations[number].mirrored)

    def _features(self, frame: int) -> list[Features]:
        """Return a frame's features for every augmentation; those of the frame at hand serve all tracks."""
        if self._at_hand is None or self._at_hand[0] != frame:
            path = self._video.image_paths[frame]
            made = [
                self._engine.features.get((path, size, augmentation.mirrored), partial(self._encode, frame, number))
                for number, (augmentation, size) in enumerate(zip(self._augmentations, self._sizes, strict=True))
            ]
            self._at_hand = frame, made
        return self._at_hand[1]

    def _encode(self, frame: int, number: int) -> Features:
        pixels = self._read(frame)
        mirrored = self._augmentations[number].mirrored
        image = prepare_frame(pixels, self._sizes[number], mirrored=mirrored, device=self._engine.device)
        return self._engine.encode(image)

    def _read(self, frame: int) -> NDArray[np.uint8]:
        """Return a frame's pixels; the last one is kept, as every augmentation asks for it."""
        if self._decoded is None or self._decoded[0] != frame:
            pixels = self._video.read_frame(frame)
            if pixels.shape[:2] != self._size:
                raise InputError(
                    f"{self._video.image_paths[frame]}: frame of size {pixels.shape[:2]} in a video of size "
                    f"{self._size}; bring all frames of the video to one size"
                )
            self._decoded = frame, pixels
        return self._decoded[1]
