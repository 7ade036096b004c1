"""Reads a tree of settings into frozen dataclasses, driven by their annotations; every problem is noted, none ends it.

Why not pydantic: with it, unknown keys of a standard dataclass pass unless each class is marked, a union of dataclasses
then takes whichever fits with everything left out, `on` becomes true, an error class of ours in `__post_init__` ends
the collection, and a message knows neither the line nor the folder that a path is relative to. Making up for that takes
more than what stands here. `rvos.settings.schema` gives the JSON schema from the same annotations.

What an annotation may be: `str`, `int`, `float`, `bool`, `Path`, `Fraction`, a class with `parse(text)`, `Literal`,
`tuple[X, ...]` or `tuple[X, Y]`, `Mapping[str, X]`, a dataclass (with `from_name(text)` a name will do), a union of
them with or without None, `Any`, and a node of the tree (`Section`, `Node`) for what is read later. `Annotated` adds a
note of `rvos.settings.bounds`. Further conditions are the dataclass's own: its `__post_init__` raises an error of
`rvos.errors` or ValueError, and its `explain_former(section)` returns what to write instead where a mapping has keys of
before, else None.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin

from rvos.errors import PipelineError
from rvos.settings.bounds import Ascending, ByName, Flat, Folder, Given, Line, Named, Names, Range
from rvos.settings.choices import ChoiceError, Chosen
from rvos.settings.fields import NODES, find_class, is_node, is_settings_class, list_fields, list_keys, strip
from rvos.settings.nodes import Listing, Node, Section, SettingsTree, Text, Value, describe, wrap
from rvos.settings.paths import UnknownReferenceError, read_path
from rvos.settings.problems import Place, Problems, count, nearest, show
from rvos.settings.scalars import EXPECTED, ScalarError, guess, read_scalar

Settings = TypeVar("Settings")
INVALID: Any = object()
"""Stands for a value whose problem is noted."""


def load(
    settings: type[Settings],
    values: Mapping[str, Any] | Node,
    *,
    where: str,
    what: str = "settings",
    part: str = "",
) -> Settings:
    """Return the dataclass `settings` filled from a mapping.

    Args:
        values: plain values as JSON gives them, a tree, or a `SettingsTree`.
        where: file or place that the values come from.
        what: the kind of file that the mapping is.
        part: name of the mapping, where it is a part of a file.

    Raises:
        ConfigError: everything that does not fit, in one message.
    """
    problems = Problems(where)
    result = Loader(problems).read(settings, wrap(values, Place(where)), part or what, is_top=not part)
    problems.check()
    return cast(Settings, result)


@dataclass(frozen=True, slots=True)
class Loader:
    """Reads values and notes what is wrong with them.

    Args:
        problems: where to.
        paths: what `${paths.NAME}` stands for; None: paths hold no such references.
        given: values of fields that are no keys, by the name of their note `Given`.
        named: by sort, such as `engine`, the values that the file may name; `INVALID` for those with problems.
    """

    problems: Problems
    paths: Mapping[str, Path] | None = None
    given: Mapping[str, object] = field(default_factory=dict)
    named: Mapping[str, Mapping[str, object]] = field(default_factory=dict)

    def giving(self, **given: object) -> Loader:
        """Return a loader that knows further values of fields that are no keys."""
        return replace(self, given={**self.given, **given})

    def read(self, hint: Any, node: Node, what: str, *, is_top: bool = False) -> Any:
        """Return a value as an annotation wants it; `INVALID` where a problem was noted.

        Args:
            what: name of the value in messages, such as `engines.aot.scales`.
            is_top: the value is the whole file, whose name does not stand before those of its keys.
        """
        if get_origin(hint) is Annotated:
            hint, *notes = get_args(hint)
            named = next((note for note in notes if isinstance(note, Named)), None)
            if named is not None:
                known = self.named.get(named.what, {})
                name = self.read(str | None if type(None) in get_args(hint) else str, node, what)
                if name is None or name is INVALID:
                    return name
                if name in known:
                    return known[name]
                return self._refuse(node.place, f"{what}: {named.what} {show(name)} is unknown; {nearest(name, known)}")
            if any(isinstance(note, Chosen) for note in notes):
                return self._fill(Annotated[hint, *notes], node, what, prefix=f"{what}.")
            return self._check_notes(self.read(hint, node, what), notes, node, what)
        if is_settings_class(hint):
            if hasattr(hint, "from_name") and _word(node) is not None:
                return self._read_name(hint, node, what)
            return self._fill(hint, node, what, prefix="" if is_top else f"{what}.")
        return self._find_reader(hint)(hint, node, what)

    def entries(self, node: Node, what: str) -> dict[str, Node]:
        """Return the values of a mapping by key; repeated keys and other forms are problems."""
        if not isinstance(node, Section):
            self.problems.add(node.place, f"{what} must be a mapping (key: value); found {describe(node)}")
            return {}
        found: dict[str, Node] = {}
        for key, value in node.entries:
            if not isinstance(key, Text):
                self.problems.add(key.place, f"{what}: a key must be a single word; found {describe(key)}")
            elif key.text in found:
                self.problems.add(key.place, f"{what}: {show(key.text)} is given twice; keep one")
            else:
                found[key.text] = value
        return found

    def _refuse(self, place: Place, message: str) -> Any:
        self.problems.add(place, message)
        return INVALID

    def _find_reader(self, hint: Any) -> Callable[[Any, Node, str], Any]:
        origin = get_origin(hint)
        if hint is Any:
            return self._read_any
        if is_node(hint):
            return self._keep
        if origin in (Union, types.UnionType):
            return self._read_union
        if origin is tuple:
            return self._read_tuple
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return self._read_mapping
        return self._read_scalar

    def _fill(self, hint: Any, node: Node, what: str, *, prefix: str) -> Any:
        entries = self.entries(node, what)
        if not isinstance(node, Section):
            return INVALID
        try:
            cls, known = find_class(hint, node), list_keys(hint, node)
        except ChoiceError as error:
            return self._refuse(entries[error.key].place, f"{prefix}{error.key} {error}")
        former = cls.explain_former(node) if hasattr(cls, "explain_former") else None
        if former is not None:
            return self._refuse(node.place, f"{what}: {former}")
        for key, _ in node.entries:
            if isinstance(key, Text) and key.text not in known:
                self.problems.add(key.place, f"{what}: unknown key {show(key.text)}; {nearest(key.text, known)}")
        return self._build(cls, node, entries, what, prefix)

    def _build(self, cls: type, node: Section, entries: Mapping[str, Node], what: str, prefix: str) -> Any:
        """Return a dataclass from the keys of a mapping, which may hold those of others too."""
        values: dict[str, Any] = {}
        for one in list_fields(cls):
            given, by_name = one.note(Given), one.note(ByName)
            if one.note(Flat):
                values[one.name] = self._build(find_class(one.hint, node), node, entries, what, prefix)
            elif one.note(Line):
                values[one.name] = node.place.line
            elif one.note(Folder):
                values[one.name] = node.place.folder
            elif given is not None and given.name in self.given:
                values[one.name] = self.given[given.name]
            elif one.is_key and one.key in entries:
                values[one.name] = self.read(one.hint, entries[one.key], f"{prefix}{one.key}")
                chosen = by_name and by_name.classes.get(str(values.get(by_name.key)))
                if chosen:
                    self.read(chosen, entries[one.key], f"{prefix}{one.key}")
            elif one.is_required:
                self.problems.add(node.place, f"{what}: {one.key!r} is missing; add it")
                values[one.name] = INVALID
        return INVALID if any(value is INVALID for value in values.values()) else self._make(cls, values, node, what)

    def _make(self, cls: type, values: dict[str, object], node: Node, what: str) -> Any:
        try:
            return cls(**values)
        except (PipelineError, ValueError, ArithmeticError) as error:
            return self._refuse(node.place, f"{what}: {error}")

    def _read_union(self, hint: Any, node: Node, what: str) -> Any:
        choices = [choice for choice in get_args(hint) if choice is not type(None)]
        if all(kind in choices for kind in NODES):
            return node  # whatever it is, nothing included, is for a later reader
        if len(choices) < len(get_args(hint)) and not isinstance(node, Section | Listing) and node.is_null:
            return None
        fitting = [choice for choice in choices if _is_of_form(choice, node)]
        if isinstance(node, Section) and len(fitting) > 1:
            return self.read(_nearest_class(fitting, set(node.words())), node, what)
        if len(fitting) > 1 and isinstance(node, Text | Value):
            return self._read_first(fitting, node, what)
        return self.read((fitting or choices)[0], node, what)

    def _read_first(self, choices: Sequence[Any], node: Text | Value, what: str) -> Any:
        """Return the value as the choice that it looks like, else as the first that can hold it; text comes last."""
        looks = type(guess(node))
        for choice in sorted(choices, key=lambda choice: (choice is not looks, choice is str)):
            quiet = replace(self, problems=Problems(""))
            value = quiet.read(choice, node, what)
            if value is not INVALID and not len(quiet.problems):
                return value
        expected = " or ".join(_describe_hint(choice) for choice in choices)
        return self._refuse(node.place, f"{what} {describe(node)} is not {expected}")

    def _read_tuple(self, hint: Any, node: Node, what: str) -> Any:
        if not isinstance(node, Listing):
            return self._refuse(node.place, f"{what} must be a list [a, b]; found {describe(node)}")
        hints = get_args(hint)
        if hints[-1] is Ellipsis:
            hints = (hints[0],) * len(node.items)
        if len(hints) != len(node.items):
            return self._refuse(node.place, f"{what} has {count(len(node.items), 'value')}; give {len(hints)}")
        pairs = enumerate(zip(hints, node.items, strict=True))
        found = tuple(self.read(item_hint, item, f"{what}.{index}") for index, (item_hint, item) in pairs)
        return INVALID if any(value is INVALID for value in found) else found

    def _read_mapping(self, hint: Any, node: Node, what: str) -> Any:
        item_hint = get_args(hint)[1]
        entries = self.entries(node, what)
        found = {key: self.read(item_hint, value, f"{what}.{key}") for key, value in entries.items()}
        if not isinstance(node, Section) or any(value is INVALID for value in found.values()):
            return INVALID
        return SettingsTree(node, found) if item_hint is Any else found

    def _read_any(self, _: Any, node: Node, what: str) -> Any:
        """Return plain values: lists, mappings, and scalars as they look."""
        if isinstance(node, Section):
            return {key: self._read_any(Any, value, f"{what}.{key}") for key, value in self.entries(node, what).items()}
        if isinstance(node, Listing):
            return [self._read_any(Any, item, f"{what}.{index}") for index, item in enumerate(node.items)]
        return guess(node)

    def _keep(self, hint: Any, node: Node, what: str) -> Any:
        if hint is not Section or isinstance(node, Section):
            return node
        return self._refuse(node.place, f"{what} must be a mapping (key: value); found {describe(node)}")

    def _read_scalar(self, hint: Any, node: Node, what: str) -> Any:
        if isinstance(node, Section | Listing):
            return self._refuse(node.place, f"{what} must be a single value; found {describe(node)}")
        try:
            if get_origin(hint) is Literal:
                choices = get_args(hint)
                word = node.text if isinstance(node, Text) else node.value
                for choice in choices:
                    if word == choice or (isinstance(node, Text) and word == str(choice)):
                        return choice
                raise ScalarError(f"{describe(node)} is unknown; {nearest(str(word), map(str, choices))}")
            if hint is Path:
                return read_path(node, self.paths)
            return read_scalar(hint, node)
        except UnknownReferenceError as error:
            return self._refuse(node.place, str(error))
        except ScalarError as error:
            return self._refuse(node.place, f"{what} {error}")
        except PipelineError as error:
            return self._refuse(node.place, f"{what}: {error}")

    def _read_name(self, hint: Any, node: Node, what: str) -> Any:
        try:
            return hint.from_name(_word(node))
        except PipelineError as error:
            self.problems.add(node.place, f"{what}: {error}")
            return INVALID

    def _check_notes(self, value: Any, notes: Sequence[object], node: Node, what: str) -> Any:
        for note in notes:
            if isinstance(note, Range) and isinstance(value, int | float | Fraction) and not note.holds(value):
                kind = "a whole number" if isinstance(value, int) else "a number"
                return self._refuse(node.place, f"{what} {describe(node)} is not {kind} {note}")
            if isinstance(note, Ascending) and isinstance(value, tuple) and list(value) != sorted(value):
                return self._refuse(node.place, f"{what} {show(list(value))} falls; give the smaller number first")
            if isinstance(note, Names) and isinstance(value, str) and not note.holds(value):
                return self._refuse(node.place, f"{what} {show(value)} is unknown; {nearest(value, note.known())}")
        return value


def _is_of_form(hint: Any, node: Node) -> bool:
    """Tell whether a choice of a union reads mappings, lists or single values as the node is one."""
    hint = strip(hint)
    origin = get_origin(hint)
    if hint is Any or is_node(hint):
        return True
    if hasattr(hint, "from_name") and _word(node) is not None:
        return True
    if is_settings_class(hint) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        return isinstance(node, Section)
    return isinstance(node, Listing) if origin is tuple else isinstance(node, Text | Value)


def _word(node: Node) -> str | None:
    """Return the word that a node is; None where it is anything else."""
    if isinstance(node, Text):
        return None if node.is_null else node.text
    return node.value if isinstance(node, Value) and isinstance(node.value, str) else None


def _nearest_class(choices: Sequence[Any], keys: set[str]) -> Any:
    """Return the choice that knows the most of the keys, of those the one with the fewest others."""

    def distance(choice: Any) -> tuple[int, int]:
        if not is_settings_class(choice):
            return 0, len(keys) + 1
        known = set(list_keys(choice))
        return len(keys - known), len(known - keys)

    return min(choices, key=distance)


def _describe_hint(hint: Any) -> str:
    if get_origin(hint) is Annotated:
        inner, *notes = get_args(hint)
        return " ".join([_describe_hint(inner), *(str(note) for note in notes if isinstance(note, Range))])
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        return str(choices[0]) if len(choices) == 1 else f"one of {', '.join(map(str, choices))}"
    return EXPECTED.get(hint, getattr(hint, "__name__", str(hint)).lower())
