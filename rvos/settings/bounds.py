"""What an annotation says beside the type: the range of a number, the key in the file, the line it stands at."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Range:
    """Range of a number: `Annotated[int, Range(least=1)]`.

    Args:
        least, most: the ends belong to the range.
        above, below: the ends do not.
    """

    least: float | None = None
    most: float | None = None
    above: float | None = None
    below: float | None = None

    def holds(self, value: float | Fraction) -> bool:
        """Tell whether a number lies in the range."""
        return (
            (self.least is None or value >= self.least)
            and (self.most is None or value <= self.most)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def __str__(self) -> str:
        """Return the range in words that follow "a number"."""
        ends = [(self.above, "above {}"), (self.least, "of at least {}")]
        ends += [(self.below, "below {}"), (self.most, "of at most {}")]
        return " and ".join(words.format(end) for end, words in ends if end is not None)


@dataclass(frozen=True, slots=True)
class Ascending:
    """Marks a list whose numbers do not fall: `Annotated[tuple[float, float], Ascending()]`."""


@dataclass(frozen=True, slots=True)
class Key:
    """The key in the file, where it is not the field's name: `Annotated[str, Key("import")]`."""

    name: str


@dataclass(frozen=True, slots=True)
class Line:
    """Marks the field that takes the line of its mapping, 0 where there is none: `Annotated[int, Line()]`."""


Count = Annotated[int, Range(least=1, most=1000)]
"""Of layers, heads and other things that are made one by one."""
Size = Annotated[int, Range(least=1, most=1_000_000)]
"""A width, a number of rows, or a side in pixels."""
Side = Annotated[int, Range(least=1, most=16_384)]
"""Of a picture, in pixels."""
Positive = Annotated[float, Range(above=0)]
"""A number above 0."""
Chance = Annotated[float, Range(least=0, most=1)]
"""A probability or part."""
