"""Problems are collected and told at once, each with its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType

from rvos.errors import ConfigError

_MOST_TOLD = 40
# The first that fits counts: a truth value is an integer to Python.
_KINDS: Mapping[type | UnionType, str] = {
    type(None): "nothing",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    list | tuple: "a list",
    Mapping: "a mapping",
}
_LONGEST_WORD = 60


@dataclass(frozen=True, slots=True)
class Place:
    """Where a value stands.

    Args:
        source: the file, or the `--set` that gave it.
        line: counted from 1; 0 where there are no lines.
        folder: that paths are relative to; None: paths stay as they are.
        doubt: what is probably wrong with the place itself, told instead of any problem with the value.
    """

    source: str
    line: int = 0
    folder: Path | None = None
    doubt: str = ""

    def __str__(self) -> str:
        """Return `file:line`."""
        return f"{self.source}:{self.line}" if self.line else self.source


class Problems:
    """Everything that is wrong with a file, told in one message."""

    def __init__(self, source: object) -> None:
        self._source = str(source)
        self._found: list[tuple[int, str]] = []

    def __len__(self) -> int:
        """Return how many were noted."""
        return len(self._found)

    def add(self, place: Place | None, message: str) -> None:
        """Note a problem at a place; None: the file as a whole."""
        place = place or Place(self._source)
        self._found.append((place.line, f"{place}: {place.doubt or message}"))

    def add_at(self, line: int, message: str) -> None:
        """Note a problem at a line of the file, counted from 1; 0: a value given on the command line."""
        self.add(Place(self._source, line), message)

    def check(self) -> None:
        """Raise what was found, in the order of the lines. Raises ConfigError: there is any problem."""
        messages = list(dict.fromkeys(message for _, message in sorted(self._found, key=lambda found: found[0])))
        if len(messages) == 1:
            raise ConfigError(messages[0])
        if messages:
            told = [f"  {message}" for message in messages[:_MOST_TOLD]]
            if len(messages) > _MOST_TOLD:
                told.append(f"  and {len(messages) - _MOST_TOLD} more")
            raise ConfigError("\n".join([f"{self._source}: {count(len(messages), 'problem')}", *told]))


def count(number: int, one: str, several: str = "") -> str:
    """Return a number with what it counts: `1 mask`, `2 masks`; `several` where an s does not make the plural."""
    return f"{number} {one if number == 1 else several or one + 's'}"


def name_type(value: object) -> str:
    """Return what kind of value one is, as a person says it: `a whole number`, `a list`."""
    kinds = (word for kind, word in _KINDS.items() if isinstance(value, kind))
    return next(kinds, f"an object of class {type(value).__name__}")


def nearest(word: str, known: Iterable[str]) -> str:
    """Return advice: the known word that looks most alike, or all of them."""
    known = list(known)
    # The comparison takes the product of both lengths; no known word is that long.
    close = difflib.get_close_matches(word[:_LONGEST_WORD], known, n=1, cutoff=0.6)
    if close:
        return f"did you mean {close[0]!r}?"
    return f"choose one of {', '.join(known)}" if known else "there is none to choose from"


def show(value: object) -> str:
    """Return a value as it is quoted in a message: one line, cut where it is long."""
    try:
        text = repr(value)
    except ValueError:  # more digits than Python writes
        return f"a number of {value.bit_length() if isinstance(value, int) else 'many'} bits"
    return text if len(text) <= _LONGEST_WORD else f"{text[:_LONGEST_WORD]}..."
