"""What SAM 2 remembers of one object, and how much of it: a bound that does not grow with the video.

Source: docs/specs/sam2.md, sections 6 and 9.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from torch import Tensor

N_MAPS = 6
"""Tracked frames whose maps are read: those at distance 1 to 6."""
N_POINTERS = 15
"""Tracked frames whose pointers are read at most: those at distance 1 to 15."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One frame of one object, decided.

    Args:
        logits: of the mask, `(1, 1, s/4, s/4)` float32 at network input s.
        score: logit that the object is there, `(1, 1, 1)`.
        pointer: what the decoder tells later frames of the object, `(1, 1, 256)`.
        memory: map of the memory encoder, `(cells, 1, 64)` bfloat16, as the official code keeps it.
    """

    logits: Tensor
    score: Tensor
    pointer: Tensor
    memory: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Recalled:
    """What a frame attends to: maps by time slot (0: prompted frames, else the distance), pointers by distance."""

    maps: tuple[tuple[int, Tensor], ...]
    pointers: tuple[tuple[int, Tensor], ...]


class ObjectMemory:
    """The prompted frames and what is read again of the tracked; `keeps_turn`: also by the backward pass."""

    def __init__(self, *, keeps_turn: bool = False) -> None:
        self.prompted: dict[int, Seen] = {}
        self._maps: dict[int, Tensor] = {}
        self._pointers: dict[int, Tensor] = {}
        self._keeps_turn = keeps_turn
        self._turn = 0

    @property
    def n_bytes(self) -> int:
        """Memory held."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self._tensors())

    def prompt(self, frame: int, seen: Seen) -> None:
        """Remember a frame whose mask was given."""
        self.prompted[frame] = seen
        self._turn = frame

    def track(self, frame: int, seen: Seen) -> None:
        """Remember a frame whose mask was found, and forget what no later frame of this pass reads."""
        self._maps[frame] = seen.memory
        self._pointers[frame] = seen.pointer
        self._maps = self._prune(self._maps, frame, N_MAPS)
        self._pointers = self._prune(self._pointers, frame, N_POINTERS)

    def recall(self, frame: int, *, backwards: bool, n_frames: int) -> Recalled:
        """Return what a frame of a video of `n_frames` attends to, in the official order.

        Prompted frames first; a prompt that lies ahead gives its map, but not its pointer.
        """
        sign = -1 if backwards else 1
        maps = [(0, seen.memory) for seen in self.prompted.values()]
        # Oldest first; frames that were never tracked are left out, not padded.
        for distance in range(N_MAPS, 0, -1):
            if (tracked := self._maps.get(frame - sign * distance)) is not None:
                maps.append((distance, tracked))
        distances = {sign * (frame - prompt): seen.pointer for prompt, seen in self.prompted.items()}
        pointers = [(distance, pointer) for distance, pointer in distances.items() if distance >= 0]
        # A short video has fewer pointers, and the distances are measured by its length.
        for distance in range(1, min(n_frames, N_POINTERS + 1)):
            if (pointer := self._pointers.get(frame - sign * distance)) is not None:
                pointers.append((distance, pointer))
        return Recalled(tuple(maps), tuple(pointers))

    def _prune(self, kept: dict[int, Tensor], frame: int, reach: int) -> dict[int, Tensor]:
        def is_read(other: int) -> bool:
            # The next frame is one further away, the first one of the backward pass is next to the turn.
            return abs(frame - other) < reach or (self._keeps_turn and abs(self._turn - other) < reach)

        return {other: tensor for other, tensor in kept.items() if is_read(other)}

    def _tensors(self) -> Iterator[Tensor]:
        yield from self._maps.values()
        yield from self._pointers.values()
        for seen in self.prompted.values():
            yield from (seen.logits, seen.score, seen.pointer, seen.memory)
