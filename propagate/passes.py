"""The two passes over a video: all expressions advance together, first forwards, then backwards.

Features of a frame are needed once on the way forward and once on the way back, for any number of expressions.
Per expression the order of engine calls is that of the 2023 release: the key frame as start, then step and commit
for every later frame; the key frame again, then the same for every earlier frame. Where no memory is carried over and
a session can fork, the second start is a copy of the first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor

from propagate.engines.protocol import Engine, Forking, Session, Step
from propagate.frames import Frame
from rvos.errors import CheckpointError
from rvos.videos import Video

T = TypeVar("T")
EXPRESSIONS_AT_ONCE = 8
"""How many memories are held at the same time; more expressions take more rounds over the video."""


@dataclass(frozen=True, slots=True, eq=False)
class Track:
    """Expressions that start from the same frames and are batched.

    Args:
        references: frames to start from, the key frame last.
        positions: of the expressions in the caller's list.
        masks: `(references, expressions, H, W)` uint8, 1 = object; None where it starts from boxes.
        boxes: `(expressions, 4)` float32 in the key frame, x0, y0, x1, y1 in pixels.
    """

    references: tuple[int, ...]
    positions: tuple[int, ...]
    masks: Tensor | None
    boxes: Tensor | None = None

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
        probability: of the foreground, `(H, W)` float32 in [0, 1].
        mask: `(H, W)` bool.
        presence: float32 in [0, 1], how sure the engine is that the object is there; None: it does not say.
    """

    position: int
    frame: int
    probability: Tensor
    mask: Tensor
    presence: Tensor | None = None


Renew = Callable[[Track, int, Step], Tensor | None]
"""Gets what a track comes to in a frame; returns masks `(B, H, W)` to start anew from there, or None."""


def run_passes(
    video: Video,
    tracks: Sequence[Track],
    engine: Engine,
    *,
    open_session: Callable[[], Session] | None = None,
    renew: Renew | None = None,
) -> Iterator[Prediction]:
    """Yield the predictions of all tracks: the forward pass by frame, then the backward pass.

    Args:
        open_session: instead of the engine's own `open`.
        renew: may put other masks in the place of what a track comes to; they are remembered as given ones.

    Raises:
        InputError: a frame cannot be read.
        CheckpointError: the network gives values that are not finite.
    """
    state = _State(video, engine, open_session or engine.open, renew)
    last = video.n_frames - 1
    for order in (range(video.n_frames), range(last, -1, -1)):
        end = order[-1]
        if not engine.carries_memory:
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


def read_features(engine: Engine, frame: Frame) -> list[Any]:
    """Return a frame's features for every augmentation of the engine. Raises InputError: the frame cannot be read."""
    return [engine.read(frame, augmentation) for augmentation in engine.augmentations]


def cut(items: Sequence[T], most: int) -> Iterator[Sequence[T]]:
    """Yield the items in turn, at most so many at once."""
    for start in range(0, len(items), most):
        yield items[start : start + most]


class _State:
    """The open sessions and the frame at hand of one round over a video."""

    def __init__(self, video: Video, engine: Engine, open_session: Callable[[], Session], renew: Renew | None) -> None:
        self.sessions: dict[Track, Session] = {}
        self._started: dict[Track, Session] = {}
        self._video = video
        self._engine = engine
        self._open = open_session
        self._renew = renew
        self._size = video.read_size()
        self._at_hand: tuple[int, list[Any]] | None = None

    @torch.inference_mode()
    def start(self, track: Track) -> None:
        """Give a track's session its reference frames; one that goes on after the forward pass gets them again."""
        if (started := self._started.pop(track, None)) is not None:
            self.sessions[track] = started
            return
        self._begin(track)
        session = self.sessions[track]
        # A track that begins at a frame in between begins once more, for the other direction.
        if (
            not self._engine.carries_memory
            and 0 < track.key < self._video.n_frames - 1
            and isinstance(session, Forking)
        ):
            self._started[track] = session.fork()

    def _begin(self, track: Track) -> None:
        if track not in self.sessions:
            self.sessions[track] = self._open()
        session = self.sessions[track]
        if track.masks is None:
            session.start(self._features(track.key), boxes=track.boxes)
            return
        for frame, masks in zip(track.references, track.masks, strict=True):
            session.start(self._features(frame), masks=masks)

    @torch.inference_mode()
    def advance(self, track: Track, frame: int) -> list[Prediction]:
        """Propagate a track to the next frame, remember the outcome and return it."""
        session = self.sessions[track]
        step = session.step(self._features(frame))
        if not torch.isfinite(step.probability).all():
            raise CheckpointError(
                f"{self._video.id}: propagation to frame {self._video.frames[frame]} gives values that are not finite; "
                "get the checkpoint again, or set precision to float32"
            )
        given = None if self._renew is None else self._renew(track, frame, step)
        if given is None:
            session.commit(step.masks)
        else:
            step = session.start(self._features(frame), masks=given)
        return [
            Prediction(
                position,
                frame,
                step.probability[row],
                step.masks[row],
                None if step.presence is None else step.presence[row],
            )
            for row, position in enumerate(track.positions)
        ]

    def _features(self, frame: int) -> list[Any]:
        """Return a frame's features for every augmentation; those of the frame at hand serve all tracks."""
        if self._at_hand is None or self._at_hand[0] != frame:
            self._at_hand = frame, read_features(self._engine, Frame(self._video, frame, self._size))
        return self._at_hand[1]
