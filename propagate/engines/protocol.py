"""What the propagator needs of an engine, whatever network it is."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from propagate.engines.features import FeatureCache
from propagate.frames import Frame

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True, slots=True)
class Augmentation:
    """One version of the input: a scale, mirrored left to right or not."""

    scale: float
    mirrored: bool


def list_augmentations(scales: Sequence[float], *, flip: bool) -> tuple[Augmentation, ...]:
    """Return the inputs in order: each scale plain, then mirrored if `flip`."""
    both = (False, True) if flip else (False,)
    return tuple(Augmentation(scale, mirrored) for scale in scales for mirrored in both)


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What an engine makes of one frame, for the B expressions of a session.

    Args:
        probability: of the foreground, `(B, H, W)` float32 in [0, 1] at frame size.
        masks: `(B, H, W)` bool, what the engine takes for the object; not always `probability > 0.5`: where several
            identities compete, the background may lose without any of them reaching a half.
        presence: `(B,)` float32 in [0, 1], how sure the engine is that the object is there; None: it does not say.
    """

    probability: Tensor
    masks: Tensor
    presence: Tensor | None = None


class Session(Protocol):
    """The memory of one batch of independent expressions.

    `features` are those of one frame for every augmentation of the engine, in its order: the session averages over
    them.
    """

    def start(self, features: Sequence[Any], *, masks: Tensor | None = None, boxes: Tensor | None = None) -> Step:
        """Remember a frame with what is given for it, any frame of the video, and return its masks.

        Repeated calls add to the memory. Raises ConfigError: the engine does not take this kind of prompt.

        Args:
            masks: `(B, H, W)` at frame size, 1 = object.
            boxes: `(B, 4)` float32, x0, y0, x1, y1 in pixels of the frame; exactly one of both.
        """

    def step(self, features: Sequence[Any]) -> Step:
        """Return the outcome for the next frame in the direction of travel."""

    def commit(self, masks: Tensor) -> None:
        """Remember the frame stepped to last with the masks `(B, H, W)` that were decided for it."""


@runtime_checkable
class Forking(Protocol):
    """A session that can be copied cheaply: what it started from serves both directions. An engine need not have it."""

    def fork(self) -> Session:
        """Return a session in the same state that goes its own way."""


class Engine(Protocol):
    """A loaded propagation network; image features are computed once a frame and augmentation, for all sessions."""

    @property
    def augmentations(self) -> tuple[Augmentation, ...]:
        """Versions of the input that every session averages over."""

    @property
    def carries_memory(self) -> bool:
        """Whether a session goes on with the backward pass after the forward pass; else each opens its own."""

    @property
    def features(self) -> FeatureCache:
        """Features shared by directions, expressions, sources and sessions."""

    def read(self, frame: Frame, augmentation: Augmentation) -> Any:
        """Return a frame's image features, cached or not; InputError where it is unreadable or of another size."""

    def open(self) -> Session:
        """Return a session without memory."""


@runtime_checkable
class TakesMaps(Protocol):
    """An engine that can stand on the first part of a detector. An engine need not have it."""

    @property
    def trunk_key(self) -> Hashable:
        """What both have to have in common: file, network, input, arithmetic."""

    def stand_on(self, trunk: Any) -> None:
        """Use a module of torch in place of one's own."""

    def keep_map(self, source: tuple[Path, int], spread: Any) -> None:
        """Make features of what that module gives for a frame, and keep them as one's own."""


@runtime_checkable
class Competing(Protocol):
    """An engine whose objects can share a state, in which they compete for pixels. An engine need not have it."""

    @property
    def most_objects(self) -> int:
        """How many can compete in one state."""

    def open_joint(self) -> Session:
        """Return a session without memory whose batch is one state."""
