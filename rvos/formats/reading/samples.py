"""Sentences about one annotated frame: the frames around it become a video of their own, in which it alone counts.

A2D-Sentences and JHMDB-Sentences annotate a few frames of a clip, and a network sees a window around one of them.

Source: A2D and JHMDB specification.
"""

from __future__ import annotations

from collections.abc import Sequence

from rvos.errors import InputError

WINDOW = 5
"""Frames around an annotated one, as published networks see them."""


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


def clean_sentence(value: object, *, where: str) -> str:
    """Return a sentence in small letters with single blanks, as all loaders read it; InputError where it is none."""
    if not isinstance(value, str) or not (text := " ".join(value.lower().split())) or "\0" in text:
        raise InputError(f"{where}: {ascii(value)[:60]} is no sentence; correct the row")
    return text
