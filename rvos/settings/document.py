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
from rvos.settings.problems import Place, Problems, show

_MOST_BYTES = 200_000
_MOST_VALUES = 50_000


def read_document(
    path: Path,
    overrides: Sequence[str] = (),
    *,
    what: str,
    folder: Path | None = None,
    problems: Problems | None = None,
) -> Node:
    """Return the tree of a YAML file with the values of `--set` put in.

    Args:
        overrides: texts of the form `key.key=value`; a whole number in a key counts the items of a list from 0.
        what: the kind of file, for messages.
        folder: that paths in the file are relative to; None: the file's own. Those of `--set` are relative to the
            current folder.
        problems: takes what is wrong with single values and overrides, which are then left out; None: it is raised.

    Raises:
        ConfigError: no readable file, no YAML (with its line), empty, too large, or an override of another form.
    """
    found = Problems(path) if problems is None else problems
    place = Place(str(path), 1, path.absolute().parent if folder is None else folder)
    root = _compose(_read_text(path, what), place, found)
    is_read = root is not None or not len(found)
    if root is None and is_read and not overrides:
        raise ConfigError(f"{path}: {what} is empty; write its settings into it")
    root = root or Section(place, ())
    typed = Path.cwd() if folder is None else folder
    for override in overrides:
        where = Place(f"--set {override}" if len(override) <= 120 else f"--set {override[:120]}...", 0, typed)
        try:
            root = _override(root, override, where, found)
        except _RefusedError as error:
            found.add(error.place, str(error))
    if problems is None or not is_read:
        found.check()
    return root


def _override(root: Node, override: str, place: Place, problems: Problems) -> Node:
    key, equals, text = override.partition("=")
    keys = key.strip().split(".")
    known = len(problems)
    value = _compose(text, place, problems) if equals else None
    if len(problems) > known:
        return root
    if value is None or not all(keys):
        raise _RefusedError(place, "expected key=value, such as stages.stage1.smr.threshold=4")
    if len(keys) > DEEPEST:
        raise _RefusedError(place, f"keys inside of each other more than {DEEPEST} deep; correct it")
    return _put(root, keys, value, place=place, done="")


class _RefusedError(Exception):
    """What ends the reading of a text; where it stands."""

    def __init__(self, place: Place, message: str) -> None:
        super().__init__(message)
        self.place = place


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

    def __init__(self, start: Place, problems: Problems) -> None:
        self._start = start
        self._problems = problems
        self._open: list[_Open] = []
        self._anchors: dict[str, tuple[Node, int]] = {}
        self._size = 0
        self.root: Node | None = None

    def take(self, event: yaml.Event) -> None:
        mark = event.start_mark
        line = int(mark.line) + 1 if mark is not None and self._start.line else 0
        place = Place(self._start.source, line, self._start.folder)
        if isinstance(event, yaml.DocumentStartEvent) and self.root is not None:
            raise _RefusedError(place, "a second document; keep one")
        tag = getattr(event, "tag", None)
        if tag is not None:
            place = self._doubt(place, f"the tag {show(tag)} is not read; write the value without it")
        if isinstance(event, yaml.ScalarEvent):
            text = event.value
            if "\0" in text or any("\ud800" <= letter <= "\udfff" for letter in text):
                place = self._doubt(place, f"{show(text)} holds a zero or half a character; correct this line")
                text = "?"
            self._add(Text(place, text, plain=event.style is None), 1, event.anchor, place)
        elif isinstance(event, yaml.AliasEvent):
            name = str(event.anchor)
            if name not in self._anchors:
                place = self._doubt(place, f"no value is marked &{name[:40]} before it; correct the alias")
            self._add(*self._anchors.get(name, (Text(place, "?"), 1)), None, place)
        elif isinstance(event, yaml.CollectionStartEvent):
            if len(self._open) >= DEEPEST:
                raise _RefusedError(place, f"values inside of each other more than {DEEPEST} deep; correct this line")
            self._open.append(_Open(place, event.anchor, isinstance(event, yaml.MappingStartEvent)))
        elif isinstance(event, yaml.CollectionEndEvent):
            closed = self._open.pop()
            self._add(closed.close(), closed.size, closed.anchor, closed.place)

    def _doubt(self, place: Place, message: str) -> Place:
        """Note what is wrong, and return the place of a value that nothing else is said of."""
        self._problems.add(place, message)
        return replace(place, doubt=message)

    def _add(self, node: Node, size: int, anchor: str | None, place: Place) -> None:
        if size > _MOST_VALUES:
            raise _RefusedError(place, f"more than {_MOST_VALUES} values, aliases unfolded; give fewer")
        if anchor is not None:
            self._anchors[anchor] = (node, size)
        if self._open:
            self._open[-1].children.append(node)
            self._open[-1].size += size
        else:
            self.root = node


def _compose(text: str, start: Place, problems: Problems) -> Node | None:
    """Return the tree of YAML text, None where there is none or it cannot be read; `start.line` 0: no lines count."""
    composer = _Composer(start, problems)
    try:
        for event in yaml.parse(text, Loader=yaml.SafeLoader):
            composer.take(event)
    except _RefusedError as error:
        problems.add(error.place, str(error))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = int(mark.line) + 1 if mark is not None and start.line else 0
        reason = error.problem or error.context
        problems.add(Place(start.source, line), f"not YAML ({reason}); correct this line")
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())[:200]
        problems.add(Place(start.source), f"not YAML ({reason}); correct the file")
    else:
        return composer.root
    return None


def _put(node: Node, keys: list[str], value: Node, *, place: Place, done: str) -> Node:
    if not keys:
        return value
    word, rest, here = keys[0], keys[1:], f"{done}.{keys[0]}".lstrip(".")
    if isinstance(node, Listing):
        if not (word.isdecimal() and len(word) < 7 and int(word) < len(node.items)):
            raise _RefusedError(place, f"{done} has the items 0 to {len(node.items) - 1}, not {word!r}; correct it")
        items = list(node.items)
        items[int(word)] = _put(items[int(word)], rest, value, place=place, done=here)
        return Listing(node.place, tuple(items))
    if not isinstance(node, Section):
        raise _RefusedError(place, f"{done or 'the file'} is no mapping; nothing can be set in it")
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
