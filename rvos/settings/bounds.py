"""What an annotation says beside the type: the range of a number, the key in the file, the line it stands at."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction


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
        ends = [(self.above, "above {:g}"), (self.least, "of at least {:g}")]
        ends += [(self.below, "below {:g}"), (self.most, "of at most {:g}")]
        return " and ".join(words.format(end) for end, words in ends if end is not None)


@dataclass(frozen=True, slots=True)
class Key:
    """The key in the file, where it is not the field's name: `Annotated[str, Key("import")]`."""

    name: str


@dataclass(frozen=True, slots=True)
class Line:
    """Marks the field that takes the line of its mapping, 0 where there is none: `Annotated[int, Line()]`."""
