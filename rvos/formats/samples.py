"""Sentences about one annotated frame: the frames around it become a video of their own, in which it alone counts.

A2D-Sentences and JHMDB-Sentences annotate a few frames of a clip, and a network sees a window around one of them.

Source: A2D and JHMDB specification.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rvos.errors import ConfigError, InputError
from rvos.videos import Expression, Video

WINDOW = 5
SAMPLE_FORMATS = ("a2d-sentences", "jhmdb-sentences")


def plan_window(frame: int, n_frames: int | None, size: int) -> tuple[int, ...]:
    """Return the numbers of the frames around an annotated one, which stands at place `size // 2`.

    Args:
        frame: number of the annotated frame, from 1.
        n_frames: of the clip; None: not known, so that nothing is cut off at its end.
        size: frames of the window. What lies outside the clip is replaced by its first or last frame.
    """
    last = max(frame, n_frames or frame + size)
    return tuple(min(max(frame - size // 2 + place, 1), last) for place in range(size))


def name_frames(numbers: Sequence[int], annotated: int) -> tuple[str, ...]:
    """Return different names for the frames of a window: their numbers, repeated ones with a count behind it.

    Args:
        annotated: place of the annotated frame, which keeps the plain number.
    """
    names = [""] * len(numbers)
    seen: dict[int, int] = {}
    for place in [annotated, *(place for place in range(len(numbers)) if place != annotated)]:
        number = numbers[place]
        seen[number] = seen.get(number, 0) + 1
        names[place] = f"{number:05d}" + (f"-{seen[number]}" if seen[number] > 1 else "")
    return tuple(names)


def check_window(window: int | None) -> int:
    """Return the frames of a window.

    Raises:
        ConfigError: none at all.
    """
    if window is not None and window < 1:
        raise ConfigError(f"window {window}: give 1 frame or more, such as 5 or 8")
    return WINDOW if window is None else window


def clean_sentence(value: object, *, where: str) -> str:
    """Return a sentence in lower case, its words joined by single blanks, as all published loaders read it.

    Raises:
        InputError: not text, empty, or not printable.
    """
    if not isinstance(value, str) or not (text := " ".join(value.lower().split())) or "\0" in text:
        raise InputError(f"{where}: {ascii(value)[:60]} is no sentence; correct the row")
    return text


class SampleSource(Protocol):
    """Ground truth of one annotated frame, not yet read."""

    annotated: int
    """Place of the annotated frame in the window."""

    def read(self, indices: Sequence[int] | None = None) -> SampleTruth:
        """Read the masks of the annotated frame; InputError where the file is missing or damaged."""


@dataclass(frozen=True, slots=True, eq=False)
class SampleTruth:
    """Masks of the objects of one annotated frame; nothing is known of the other frames, which are void.

    Args:
        objects: object -> mask `(H, W)`.
        n_frames: of the window, or of the frames that were chosen.
        annotated: place of the annotated frame among them; None: it is not among them.
        where: what messages call the file.
    """

    objects: Mapping[str, NDArray[np.bool_]]
    n_frames: int
    annotated: int | None
    where: str

    @property
    def size(self) -> tuple[int, int] | None:
        """(H, W) of the masks; None without an object."""
        first = next(iter(self.objects.values()), None)
        return None if first is None else (first.shape[0], first.shape[1])

    @property
    def void(self) -> NDArray[np.bool_] | None:
        """All pixels of all frames but the annotated one."""
        if self.size is None:
            return None
        void = np.ones((self.n_frames, *self.size), np.bool_)
        if self.annotated is not None:
            void[self.annotated] = False
        return void

    def mask(self, expression: Expression) -> NDArray[np.bool_]:
        """Return the mask `(H, W)` of what the expression refers to, in the annotated frame.

        Raises:
            InputError: the file has no such object.
        """
        name = expression.object_ids[0]
        if name not in self.objects:
            raise InputError(
                f"{self.where}: no instance {name} ({', '.join(self.objects) or 'none'}); correct the list"
            )
        return self.objects[name]

    def masks(self, expression: Expression) -> NDArray[np.bool_]:
        """Return the masks `(T, H, W)`: empty but in the annotated frame.

        Raises:
            InputError: the file has no such object.
        """
        mask = self.mask(expression)
        masks = np.zeros((self.n_frames, *mask.shape), np.bool_)
        if self.annotated is not None:
            masks[self.annotated] = mask
        return masks


def choose_frames(video: Video, annotated: int, indices: Sequence[int] | None) -> tuple[int, int | None]:
    """Return how many frames are chosen, and the place of the annotated one among them."""
    chosen = list(range(video.n_frames) if indices is None else indices)
    return len(chosen), chosen.index(annotated) if annotated in chosen else None
