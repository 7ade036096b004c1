"""YAML text as a tree in which every value knows its line and is still text.

YAML itself would turn the video `6031809500` into a number, `on` into a boolean and leave `1e-3` as text: what a value
is, its reader says. The text may be anybody's, so its size, depth and unfolded aliases are bounded, and the tree is
built from the parser's events without recursion.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from rvos.errors import ConfigError
from rvos.settings.problems import Place, show

_MOST_BYTES = 200_000
_MOST_VALUES = 50_000
_DEEPEST = 40
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


def read_document(path: Path, overrides: Iterable[str] = (), *, what: str, folder: Path | None = None) -> Node:
    """Return the tree of a YAML file with the values of `--set` put in; an empty file is an empty mapping.

    Args:
        overrides: texts of the form `key.key=value`; a whole number in a key counts the items of a list from 0.
        what: the kind of file, for messages.
        folder: that paths in the file are relative to; None: the file's own. Those of `--set` are relative to the
            current folder.

    Raises:
        ConfigError: no readable file, no YAML (with its line), too large, or an override of another form.
    """
    text = _read_text(path, what)
    place = Place(str(path), 1, path.absolute().parent if folder is None else folder)
    root = _compose(text, place) or Section(place, ())
    typed = Path.cwd() if folder is None else folder
    for override in overrides:
        root = _set(root, override, typed)
    return root


def wrap(value: object, place: Place, *, depth: int = 0) -> Node:
    """Return a plain value, such as JSON gives it, as a tree without lines.

    Raises:
        ConfigError: nested too deeply.
    """
    if depth > _DEEPEST:
        raise ConfigError(f"{place}: values inside of each other more than {_DEEPEST} deep; correct it")
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


def _read_text(path: Path, what: str) -> str:
    try:
        # Opened without waiting, for a pipe would wait for its writer; what is no file is then refused.
        handle = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(handle, "rb") as stream:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise ConfigError(f"{path}: {what} is no regular file; give a YAML file")
            content = stream.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"{path}: {what} cannot be read ({error.strerror}); check the path") from None
    except ValueError:
        raise ConfigError(f"{str(path)!r}: {what} cannot be read (no path); check the path") from None
    if len(content) > _MOST_BYTES:
        raise ConfigError(f"{path}: {what} is larger than {_MOST_BYTES} bytes; give a YAML file with settings only")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: {what} is not UTF-8 text; save it as UTF-8") from None


@dataclass(slots=True)
class _Open:
    """A list or mapping whose end has not come yet."""

    place: Place
    anchor: str | None
    is_mapping: bool
    children: list[Node] = field(default_factory=list)
    size: int = 1

    def close(self) -> Node:
        if not self.is_mapping:
            return Listing(self.place, tuple(self.children))
        return Section(self.place, tuple(zip(self.children[::2], self.children[1::2], strict=True)))


class _Composer:
    """Builds the tree from events; an alias is the very node that it names, so it costs nothing until it is read."""

    def __init__(self, start: Place) -> None:
        self._start = start
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._size = 0
        self.root: Node | None = None

    def take(self, event: yaml.Event) -> None:
        place = Place(self._start.source, self._line(event), self._start.folder)
        if isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise ConfigError(f"{place}: a second document; keep one")
        if isinstance(event, yaml.NodeEvent) and not isinstance(event, yaml.AliasEvent):
            _refuse_tag(event, place)
        if isinstance(event, yaml.ScalarEvent):
            _check_text(event.value, place)
            self._add(Text(place, event.value, plain=event.style is None), 1, event.anchor, place)
        elif isinstance(event, yaml.AliasEvent):
            anchored = self._anchors.get(str(event.anchor))
            if anchored is None:
                raise ConfigError(f"{place}: no value is marked &{str(event.anchor)[:40]} before it; correct the alias")
            self._add(*anchored, None, place)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(self._open) >= _DEEPEST:
                raise ConfigError(f"{place}: values inside of each other more than {_DEEPEST} deep; correct this line")
            self._open.append(_Open(place, event.anchor, isinstance(event, yaml.MappingStartEvent)))
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = self._open.pop()
            self._add(closed.close(), closed.size, closed.anchor, closed.place)

    def _add(self, node: Node, size: int, anchor: str | None, place: Place) -> None:
        if size > _MOST_VALUES:
            raise ConfigError(f"{place}: more than {_MOST_VALUES} values, aliases unfolded; give fewer")
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if self._open:
            self._open[-1].children.append(node)
            self._open[-1].size += size
        else:
            self.root = node

    def _line(self, event: yaml.Event) -> int:
        mark = event.start_mark
        return int(mark.line) + 1 if mark is not None and self._start.line else 0


def _refuse_tag(event: yaml.Event, place: Place) -> None:
    tag = getattr(event, "tag", None)
    if tag is not None:
        raise ConfigError(f"{place}: the tag {show(tag)} is not read; write the value without it")


def _check_text(text: str, place: Place) -> None:
    if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
        raise ConfigError(f"{place}: {show(text)} holds a zero or half a character; correct this line")


def _compose(text: str, start: Place) -> Node | None:
    """Return the tree of YAML text; `start.line` 0: its lines do not count."""
    composer = _Composer(start)
    try:
        for event in _parse(text):
            composer.take(event)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = int(mark.line) + 1 if mark is not None and start.line else 0
        place = Place(start.source, line)
        raise ConfigError(f"{place}: not YAML ({error.problem or error.context}); correct this line") from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ConfigError(f"{start.source}: not YAML ({reason}); correct the file") from None
    return composer.root


def _parse(text: str) -> Iterator[yaml.Event]:
    yield from yaml.parse(text, Loader=yaml.SafeLoader)


def _set(root: Node, override: str, folder: Path) -> Node:
    """Return the tree with the value of one `--set` in its place; missing mappings on the way are made."""
    key, equals, text = override.partition("=")
    keys = key.strip().split(".")
    place = Place(f"--set {override}" if len(override) <= 120 else f"--set {override[:120]}...", 0, folder)
    value = _compose(text, place) if equals else None
    if value is None or not all(keys):
        raise ConfigError(f"{place}: expected key=value, such as stages.stage1.smr.threshold=4")
    if len(keys) > _DEEPEST:
        raise ConfigError(f"{place}: keys inside of each other more than {_DEEPEST} deep; correct it")
    return _put(root, keys, value, place=place, done="")


def _put(node: Node, keys: list[str], value: Node, *, place: Place, done: str) -> Node:
    if not keys:
        return value
    word, rest, here = keys[0], keys[1:], f"{done}.{keys[0]}".lstrip(".")
    if isinstance(node, Listing):
        if not (word.isdecimal() and len(word) < 7 and int(word) < len(node.items)):
            raise ConfigError(f"{place}: {done} has the items 0 to {len(node.items) - 1}, not {word!r}; correct it")
        items = list(node.items)
        items[int(word)] = _put(items[int(word)], rest, value, place=place, done=here)
        return Listing(node.place, tuple(items))
    if not isinstance(node, Section):
        raise ConfigError(f"{place}: {done or 'the file'} is no mapping; nothing can be set in it")
    child = _put(node.find(word) or Section(place, ()), rest, value, place=place, done=here)
    entry = (Text(place, word), child)
    old = [isinstance(key, Text) and key.text == word for key, _ in node.entries]
    if True not in old:
        return Section(node.place, (*node.entries, entry))
    first = old.index(True)
    kept = [
        entry if index == first else pair for index, pair in enumerate(node.entries) if index == first or not old[index]
    ]
    return Section(node.place, tuple(kept))
