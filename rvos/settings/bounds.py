"""What an annotation says beside the type: the range of a number, the key in the file, where a value comes from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, ClassVar


@dataclass(frozen=True, slots=True)
class Range:
    """Range of a number, `Annotated[int, Range(least=1)]`; `least` and `most` belong to it, `above`, `below` do not."""

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


@dataclass(frozen=True, slots=True)
class Folder:
    """Marks the field that takes the folder of its file; None where the values come from no file."""


@dataclass(frozen=True, slots=True)
class Given:
    """Marks a field that is no key: whoever reads the file gives it by this name, `Annotated[str, Given("stage")]`."""

    name: str


@dataclass(frozen=True, slots=True)
class Flat:
    """Marks a dataclass whose keys stand in the same mapping: `Annotated[MaskletSettings, Flat()]`."""


@dataclass(frozen=True, slots=True)
class Named:
    """Marks a value of which the file says the name: `Annotated[EngineSettings, Named("engine")]`."""

    what: str


class Names(ABC):
    """Marks a text that must be a known name. `advice`: what else it may be, as a sentence."""

    advice: ClassVar[str] = ""

    @abstractmethod
    def known(self) -> Sequence[str]:
        """Return the names."""

    def holds(self, name: str) -> bool:
        """Tell whether a text is one of them, or may be one."""
        return name in self.known()


@dataclass(frozen=True)
class OneOf(Names):
    """Marks a text that is one of several: `Annotated[str, OneOf(("soc", "mutr"))]`."""

    names: tuple[str, ...]

    def known(self) -> Sequence[str]:
        """Return the names."""
        return self.names


@dataclass(frozen=True, slots=True)
class ByName:
    """Marks a mapping whose class another key decides: `Annotated[Mapping[str, int], ByName("runner", OPTIONS)]`.

    The mapping is kept as it is given; a class of the table says what may stand in it.
    """

    key: str
    classes: Mapping[str, type]


@dataclass(frozen=True, slots=True)
class NoEffect:
    """Marks a setting that changes no result, such as how much memory may be used."""


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
