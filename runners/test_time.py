"""Test-time augmentation of a member: which views of a video it sees, and what the sentences are in a mirrored one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

from rvos.errors import ConfigError
from rvos.settings import Count, Side, count

# Only where a word begins, and only in words about sides: "bright" and "leftover" stay.
_SIDE = re.compile(r"\b(left|right)(?=(?:most|hand|wards?)?\b)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class View:
    """One look at a video.

    Args:
        mirrored: left and right are exchanged, in frames and sentences.
        short_side: of the resized frames in pixels; None: the runner's own.
        step: frames i, i + step, i + 2 step, ... make a clip, for every i below `step`.
    """

    mirrored: bool = False
    short_side: int | None = None
    step: int = 1

    def clips(self, n_frames: int) -> Iterator[range]:
        """Yield the frames of every clip; together they are all frames, each once."""
        yield from (range(start, n_frames, self.step) for start in range(min(self.step, n_frames)))


@dataclass(frozen=True, slots=True)
class TestTime:
    """Views of a video whose masks and scores are averaged before they are stored.

    Args:
        flip: look at the mirrored video too.
        sizes: short sides of the frames; empty: the runner's own.
        steps: 1 takes all frames together, 2 also the even and the odd ones as clips of their own, and so on.

    Raises:
        ConfigError: nothing but the ordinary look, or the same one twice.
    """

    # Not a test, whatever its name: pytest collects no class that says so.
    __test__ = False

    flip: bool = False
    sizes: tuple[Side, ...] = ()
    steps: tuple[Count, ...] = (1,)

    def __post_init__(self) -> None:
        for name, values in (("sizes", self.sizes), ("steps", self.steps)):
            if len(set(values)) < len(values):
                raise ConfigError(f"test_time.{name}: one value stands there twice; name each once")
        if not self.steps:
            raise ConfigError("test_time.steps is empty; give 1, or leave it out")
        if not (self.flip or self.sizes or self.steps != (1,)):
            raise ConfigError("test_time asks for nothing; give flip, sizes or steps, or leave it out")

    def views(self) -> tuple[View, ...]:
        """Return the views; the first one's maps say at which resolution all are averaged."""
        sizes: tuple[int | None, ...] = self.sizes or (None,)
        sides = (False, True) if self.flip else (False,)
        return tuple(View(mirrored, size, step) for size, step, mirrored in product(sizes, self.steps, sides))

    def __str__(self) -> str:
        """Return the views in words."""
        parts = ["mirrored too"] if self.flip else []
        parts += [f"{name} {', '.join(map(str, values))}" for name, values in self._lists() if values]
        return f"{count(len(self.views()), 'view')} ({'; '.join(parts)})"

    def _lists(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        return (("short sides", self.sizes), ("steps", () if self.steps == (1,) else self.steps))


def mirror_words(text: str) -> str:
    """Return a sentence about the mirrored video: "left" and "right" change places, in "leftmost" and the like too.

    "left" as a form of "leave" and "right" as "correct" are changed with them: nothing in the sentence tells.
    """
    return _SIDE.sub(_swap, text)


def _swap(found: re.Match[str]) -> str:
    word = found[1]
    other = "right" if word.lower() == "left" else "left"
    return other.upper() if word.isupper() else other.capitalize() if word[0].isupper() else other
