"""YAML text as a tree in which every value knows its line and is still text.

YAML itself would turn the video `6031809500` into a number, `on` into a boolean and leave `1e-3` as text: what a value
is, its reader says. The text may be anybody's, so its size, depth and unfolded aliases are bounded, and the tree is
built from the parser's events without recursion.
"""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import yaml

from rvos.errors import ConfigError, InputError
from rvos.files.atomic import read_whole
from rvos.settings.nodes import DEEPEST, Listing, Node, Section, Text
from rvos.settings.problems import Place, show

_MOST_BYTES = 200_000
_MOST_VALUES = 50_000


def read_document(path: Path, overrides: Sequence[str] = (), *, what: str, folder: Path | None = None) -> Node:
    """Return the tree of a YAML file with the values of `--set` put in.

    Args:
        overrides: texts of the form `key.key=value`; a whole number in a key counts the items of a list from 0.
        what: the kind of file, for messages.
        folder: that paths in the file are relative to; None: the file's own. Those of `--set` are relative to the
            current folder.

    Raises:
        ConfigError: no readable file, no YAML (with its line), empty, too large, or an override of another form.
    """
    text = _read_text(path, what)
    place = Place(str(path), 1, path.absolute().parent if folder is None else folder)
    root = _compose(text, place)
    if root is None and not overrides:
        raise ConfigError(f"{path}: {what} is empty; write its settings into it")
    root = root or Section(place, ())
    typed = Path.cwd() if folder is None else folder
    for override in overrides:
        key, equals, value_text = override.partition("=")
        keys = key.strip().split(".")
        where = Place(f"--set {override}" if len(override) <= 120 else f"--set {override[:120]}...", 0, typed)
        value = _compose(value_text, where) if equals else None
        if value is None or not all(keys):
            raise ConfigError(f"{where}: expected key=value, such as stages.stage1.smr.threshold=4")
        if len(keys) > DEEPEST:
            raise ConfigError(f"{where}: keys inside of each other more than {DEEPEST} deep; correct it")
        root = _put(root, keys, value, place=where, done="")
    return root


def _read_text(path: Path, what: str) -> str:
    try:
        return read_whole(path, most=_MOST_BYTES).decode("utf-8-sig")
    except InputError as error:
        raise ConfigError(str(error)) from None
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
        mark = event.start_mark
        line = int(mark.line) + 1 if mark is not None and self._start.line else 0
        place = Place(self._start.source, line, self._start.folder)
        if isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise ConfigError(f"{place}: a second document; keep one")
        if isinstance(event, yaml.NodeEvent) and not isinstance(event, yaml.AliasEvent):
            tag = getattr(event, "tag", None)
            if tag is not None:
                raise ConfigError(f"{place}: the tag {show(tag)} is not read; write the value without it")
        if isinstance(event, yaml.ScalarEvent):
            if "\0" in event.value or any("\ud800" <= letter <= "\udfff" for letter in event.value):
                raise ConfigError(f"{place}: {show(event.value)} holds a zero or half a character; correct this line")
            self._add(Text(place, event.value, plain=event.style is None), 1, event.anchor, place)
        elif isinstance(event, yaml.AliasEvent):
            anchored = self._anchors.get(str(event.anchor))
            if anchored is None:
                raise ConfigError(f"{place}: no value is marked &{str(event.anchor)[:40]} before it; correct the alias")
            self._add(*anchored, None, place)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(self._open) >= DEEPEST:
                raise ConfigError(f"{place}: values inside of each other more than {DEEPEST} deep; correct this line")
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


def _compose(text: str, start: Place) -> Node | None:
    """Return the tree of YAML text; `start.line` 0: its lines do not count."""
    composer = _Composer(start)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
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
    child = node.find(word)
    if child is None:
        # New parts may be added by `--set`, so that this one is meant is doubted only where it turns out to be wrong.
        known = [other for other in node.words() if other != word]
        close = difflib.get_close_matches(word, known, n=1) if rest and not node.place.doubt else ()
        doubt = f"{here} is not in the file; did you mean {close[0]!r}?" if close else node.place.doubt
        child = Section(replace(place, doubt=doubt), ())
    child = _put(child, rest, value, place=place, done=here)
    entry = (Text(place, word), child)
    old = [isinstance(key, Text) and key.text == word for key, _ in node.entries]
    if True not in old:
        return Section(node.place, (*node.entries, entry))
    first = old.index(True)
    kept = [
        entry if index == first else pair for index, pair in enumerate(node.entries) if index == first or not old[index]
    ]
    return Section(node.place, tuple(kept))
