"""What SAM 3 remembers of one object, what a frame attends to of it, and how much is kept: no more with more frames.

Source: docs/specs/sam3.md, sections 5 and 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import islice

from torch import Tensor

MOST_PLACES = 16
"""Places of a list, prompted frame included: a list has at most one good frame less."""
N_MAPS = 6
"""Places whose maps are read, the newest."""
MOST_PROMPTED = 4
"""Prompted frames that are attended to."""
LEAST_EFFECTIVE = 0.01
"""What a frame's mask must be worth to be remembered once it is no longer the newest."""


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """One frame of one object, decided.

    Args:
        logits: of the mask, `(1, 1, 4f, 4f)` float32 for f patches a side.
        score: logit that the object is there, `(1, 1, 1)`.
        quality: of the mask as the decoder predicts it, in [0, 1]; 1 for a given mask.
        pointer: what the decoder tells later frames of the object, `(1, 1, 256)`.
        memory: map of the memory encoder, `(cells, 1, 64)` bfloat16, as the official code keeps it.
    """

    logits: Tensor
    score: Tensor
    quality: float
    pointer: Tensor
    memory: Tensor

    @property
    def effective(self) -> float:
        """What a tracked frame is worth as memory, in [0, 1]."""
        return max(0.0, 2 * float(self.score.sigmoid()) - 1) * self.quality


@dataclass(frozen=True, slots=True, eq=False)
class Tracked:
    """What is kept of a frame without a prompt.

    Args:
        memory: its map; None once no later frame reads it.
    """

    effective: float
    pointer: Tensor
    memory: Tensor | None


@dataclass(frozen=True, slots=True, eq=False)
class Recalled:
    """What a frame attends to, in the order of the memory tokens.

    Args:
        maps: (place in the list counted from its end, frame, map); place 0 is that of prompted frames.
        pointers: (place, or distance of a prompted frame, frame, pointer).
    """

    maps: tuple[tuple[int, int, Tensor], ...]
    pointers: tuple[tuple[int, int, Tensor], ...]


def list_candidates(frame: int, effective: Mapping[int, float], n_frames: int, *, backwards: bool) -> list[int]:
    """Return the frames that may serve `frame` as tracked memory, oldest first.

    The last one is the neighbour, whatever it is: missing or prompted it takes a place that yields nothing.

    Args:
        effective: of every tracked frame that is stored.
    """
    if frame == (n_frames - 1 if backwards else 0):
        return []
    neighbour = frame + 1 if backwards else frame - 1
    # Going forwards the official walk ends at frame 1.
    older = sorted((t for t in effective if (t > frame if backwards else 0 < t < frame)), reverse=not backwards)
    good = (t for t in older if effective[t] > LEAST_EFFECTIVE)
    taken = list(islice(good, min(n_frames, MOST_PLACES) - 1))[::-1]
    return taken if neighbour in taken else [*taken, neighbour]


def select_prompted(frame: int, prompted: Iterable[int]) -> list[int]:
    """Return the prompted frames that a frame attends to: nearest before, nearest at or after, then the nearest."""
    frames = list(prompted)
    if len(frames) <= MOST_PROMPTED:
        return frames
    before = max((t for t in frames if t < frame), default=None)
    after = min((t for t in frames if t >= frame), default=None)
    selected = [t for t in (before, after) if t is not None]
    rest = sorted((t for t in frames if t not in selected), key=lambda t: abs(t - frame))
    return selected + rest[: MOST_PROMPTED - len(selected)]


class ObjectMemory:
    """The prompted frames of an object, and of the tracked ones those that are read again.

    Args:
        keeps_turn: also keep what the backward pass reads of the forward pass.
    """

    def __init__(self, *, keeps_turn: bool = False) -> None:
        self.prompted: dict[int, Seen] = {}
        self._tracked: dict[int, Tracked] = {}
        self._keeps_turn = keeps_turn
        self._turn = 0

    @property
    def n_bytes(self) -> int:
        """Memory held."""
        return sum(tensor.numel() * tensor.element_size() for tensor in self._tensors())

    def prompt(self, frame: int, seen: Seen) -> None:
        """Remember a frame whose mask was given."""
        self.prompted[frame] = seen
        self._tracked.pop(frame, None)
        self._turn = frame

    def track(self, frame: int, seen: Seen) -> None:
        """Remember a frame whose mask was found, and forget what no later frame reads."""
        self._tracked[frame] = Tracked(seen.effective, seen.pointer, seen.memory)
        kept = self._list_read(frame)
        if self._keeps_turn:
            for t, has_map in self._list_read(self._turn).items():
                kept[t] = has_map or kept.get(t, False)
        self._tracked = {
            t: self._tracked[t] if has_map else replace(self._tracked[t], memory=None)
            for t, has_map in sorted(kept.items())
        }

    def recall(self, frame: int, *, backwards: bool, n_frames: int) -> Recalled:
        """Return what a frame of a video of `n_frames` attends to, in the official order.

        Prompted frames first; a prompt that lies ahead gives its map, but not its pointer.
        """
        effective = {t: tracked.effective for t, tracked in self._tracked.items()}
        places = list_candidates(frame, effective, n_frames, backwards=backwards)
        selected = select_prompted(frame, self.prompted)
        found: dict[int, Seen | Tracked] = {t: seen for t, seen in self.prompted.items() if t not in selected}
        found |= self._tracked
        maps = [(0, t, self.prompted[t].memory) for t in selected]
        for place in range(min(N_MAPS, len(places)), 0, -1):
            t = places[-place]
            if t in found and (memory := found[t].memory) is not None:
                maps.append((place, t, memory))
        distances = {t: frame - t if not backwards else t - frame for t in selected}
        pointers = [(distances[t], t, self.prompted[t].pointer) for t in selected if distances[t] >= 0]
        # The oldest place never gives a pointer.
        for place in range(1, min(n_frames, MOST_PLACES, len(places))):
            if (t := places[-place]) in found:
                pointers.append((place, t, found[t].pointer))
        return Recalled(tuple(maps), tuple(pointers))

    def _list_read(self, place: int) -> dict[int, bool]:
        """Return the tracked frames that a walk away from `place` still reads, and whether it reads their maps."""
        others = sorted((t for t in self._tracked if t != place), key=lambda t: abs(t - place))
        good = [t for t in others if self._tracked[t].effective > LEAST_EFFECTIVE][: MOST_PLACES - 1]
        newest = [place] if place in self._tracked else []
        # The newest frame is in every list, so that one place fewer is left for the maps of the others.
        return {t: number < N_MAPS for number, t in enumerate([*newest, *good], start=1 - len(newest))}

    def _tensors(self) -> Iterator[Tensor]:
        for tracked in self._tracked.values():
            yield tracked.pointer
            if tracked.memory is not None:
                yield tracked.memory
        for seen in self.prompted.values():
            yield from (seen.logits, seen.score, seen.pointer, seen.memory)
