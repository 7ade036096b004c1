"""The fields of a dataclass of settings as the loader and the schema see them: key, annotation, notes."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

from rvos.settings.bounds import Flat, Folder, Given, Key, Line
from rvos.settings.choices import Chosen
from rvos.settings.nodes import Listing, Node, Section, Text, Value

Note = TypeVar("Note")
NODES = (Text, Value, Listing, Section)


@dataclass(frozen=True, slots=True)
class SettingsField:
    """One field: its key in the file, its annotation with notes, and its default, MISSING where it must be given."""

    name: str
    key: str
    hint: Any
    default: Any

    @property
    def is_required(self) -> bool:
        """Whether there is no default."""
        return self.default is dataclasses.MISSING

    def note(self, sort: type[Note]) -> Note | None:
        """Return what the annotation says of a sort; None where it says nothing."""
        return find_note(self.hint, sort)

    @property
    def is_key(self) -> bool:
        """Whether the file says it under a key of its own."""
        return not any(self.note(sort) for sort in (Line, Folder, Given, Flat))


@lru_cache(maxsize=256)
def list_fields(cls: type) -> tuple[SettingsField, ...]:
    """Return the fields of a dataclass that are given when it is made."""
    hints = get_type_hints(cls, include_extras=True)
    return tuple(_describe(one, hints[one.name]) for one in dataclasses.fields(cls) if one.init)


def list_keys(hint: Any, section: Section | None = None) -> dict[str, SettingsField]:
    """Return what may stand in the mapping of a dataclass, by key; that of flat ones included.

    Args:
        section: the mapping, where its values choose classes.

    Raises:
        ChoiceError: a value that chooses none.
    """
    return {one.key: one for one in _walk(hint, section)}


def find_class(hint: Any, section: Section | None) -> Any:
    """Return the dataclass of an annotation, the chosen one where the mapping chooses; raises as `list_keys` does."""
    chosen = find_note(hint, Chosen)
    if chosen is None or section is None:
        return strip(hint)
    name = chosen.default if section.find(chosen.key) is None else section.read_word(chosen.key)
    return strip(hint) if name is None else chosen.find(name)


def find_note(hint: Any, sort: type[Note]) -> Note | None:
    """Return the note of a sort in an annotation; None where there is none."""
    notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((note for note in notes if isinstance(note, sort)), None)


def strip(hint: Any) -> Any:
    """Return an annotation without its notes."""
    return get_args(hint)[0] if get_origin(hint) is Annotated else hint


def is_node(hint: Any) -> bool:
    """Tell whether values of a type are parts of the tree, for a later reader."""
    return hint is Node or hint in NODES


def is_settings_class(hint: Any) -> bool:
    """Tell whether values of a type are read from mappings, key by key."""
    return (
        isinstance(hint, type) and dataclasses.is_dataclass(hint) and not is_node(hint) and not hasattr(hint, "parse")
    )


def _walk(hint: Any, section: Section | None) -> Iterator[SettingsField]:
    chosen = find_note(hint, Chosen)
    if chosen is not None and chosen.default is not None:
        yield SettingsField(chosen.key, chosen.key, str, chosen.default)
    for one in list_fields(find_class(hint, section)):
        if one.note(Flat):
            yield from _walk(one.hint, section)
        elif one.is_key:
            yield one


def _describe(one: dataclasses.Field[Any], hint: Any) -> SettingsField:
    key = find_note(hint, Key)
    default = one.default if one.default_factory is dataclasses.MISSING else one.default_factory()
    return SettingsField(one.name, one.name if key is None else key.name, hint, default)
