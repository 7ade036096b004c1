"""The tree that settings are read from: texts of a file or values of JSON, each with its place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rvos.errors import ConfigError
from rvos.settings.problems import Place, show

DEEPEST = 40
_NULLS = frozenset(("", "~", "null", "Null", "NULL"))


@dataclass(frozen=True, slots=True)
class Text:
    """A single value as it is written; `plain`: without quotes."""

    place: Place
    text: str
    plain: bool = True

    @property
    def is_null(self) -> bool:
        """Tell whether it is YAML's nothing."""
        return self.plain and self.text in _NULLS


@dataclass(frozen=True, slots=True)
class Value:
    """A single value that has its type already, as JSON gives it."""

    place: Place
    value: Any

    @property
    def is_null(self) -> bool:
        """Tell whether it is nothing."""
        return self.value is None


@dataclass(frozen=True, slots=True)
class Listing:
    """A list."""

    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping; keys may repeat, which is for the reader to refuse."""

    place: Place
    entries: tuple[tuple[Node, Node], ...]

    def words(self) -> tuple[str, ...]:
        """Return the keys that are single words."""
        return tuple(key.text for key, _ in self.entries if isinstance(key, Text))

    def find(self, word: str) -> Node | None:
        """Return the value of a key; None where there is none."""
        return next((value for key, value in self.entries if isinstance(key, Text) and key.text == word), None)

    def read_word(self, word: str) -> str:
        """Return the single value of a key as text; empty where there is none."""
        found = self.find(word)
        return found.text if isinstance(found, Text) else str(found.value) if isinstance(found, Value) else ""


Node = Text | Value | Listing | Section


class SettingsTree(Mapping[str, Any]):
    """Settings whose class is not known yet: a mapping of plain values that keeps its lines for whoever reads it."""

    def __init__(self, node: Section, values: Mapping[str, Any]) -> None:
        self.node = node
        self._values = dict(values)

    def __getitem__(self, key: str) -> Any:
        """Return a plain value."""
        return self._values[key]

    def __iter__(self) -> Iterator[str]:
        """Yield the keys."""
        return iter(self._values)

    def __len__(self) -> int:
        """Return the number of keys."""
        return len(self._values)

    def __repr__(self) -> str:
        """Return the plain values."""
        return repr(self._values)


def wrap(value: object, place: Place, *, depth: int = 0) -> Node:
    """Return a plain value, such as JSON gives it, as a tree without lines. Raises ConfigError: nested too deeply."""
    if depth > DEEPEST:
        raise ConfigError(f"{place}: values inside of each other more than {DEEPEST} deep; correct it")
    if isinstance(value, Text | Value | Listing | Section):
        return value
    if isinstance(value, SettingsTree):
        return value.node
    if isinstance(value, Mapping):
        pairs = (
            (Text(place, str(key), plain=False), wrap(item, place, depth=depth + 1)) for key, item in value.items()
        )
        return Section(place, tuple(pairs))
    if isinstance(value, list | tuple):
        return Listing(place, tuple(wrap(item, place, depth=depth + 1) for item in value))
    return Value(place, value)


def describe(node: Node) -> str:
    """Return what stands at a place, for messages."""
    if isinstance(node, Section):
        return "a mapping"
    if isinstance(node, Listing):
        return "a list"
    if node.is_null:
        return "nothing"
    word = node.text if isinstance(node, Text) else node.value
    return show(word) if word != "" else "nothing"
