"""Settings as plain values, for fingerprints."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from rvos.settings import ByName, Chosen, Flat, Folder, Given, Line, NoEffect, SettingsField, list_fields


def plain_fields(value: Any, *, without: Sequence[str] = ()) -> dict[str, object]:
    """Return the settings of a dataclass that can change a result, those of flat ones beside its own.

    Left out are defaults, so that a new setting leaves results valid; paths, as the files stand for what is in them;
    what is given beside the keys of the file; and what is marked as without effect. A user's own code, which has no
    version, counts with all settings, as a default that changes is another value for it.
    """
    found: dict[str, object] = {}
    cls: type = type(value)
    is_own = getattr(value, "is_own", False)
    for one in list_fields(cls):
        content = getattr(value, one.name)
        if choice := one.note(ByName):
            defaults = {part.key: part.default for part in list_fields(choice.classes[getattr(value, choice.key)])}
            content = {key: given for key, given in content.items() if given != defaults[key]}
        chosen = one.note(Chosen)
        name = {} if chosen is None else {chosen.key: getattr(content, chosen.key)}
        if one.note(Flat):
            found |= {**name, **plain_fields(content, without=without)}
        elif _counts(one, content) and one.name not in without and (is_own or content != one.default):
            found[one.name] = {**name, **plain_fields(content)} if name else plain(content)
    return found


def plain(value: object) -> object:
    """Return a setting as JSON can write it, always in the same way; paths inside of it are left out.

    Raises a TypeError for a value that has no such form; the kind must say itself what it means.
    """
    # 1 and 1.0 are different texts: a setting that becomes a float counts as changed, which is safe.
    if value is None or isinstance(value, bool | int | float | str):
        return value
    # As a text of two whole numbers: a float would lose what tells 1/3 from 0.333.
    if isinstance(value, Fraction):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(content) for key, content in value.items() if not isinstance(content, Path)}
    if isinstance(value, Sequence):
        return [plain(content) for content in value if not isinstance(content, Path)]
    if dataclasses.is_dataclass(value):
        return plain_fields(value)
    # No `repr`: that of an object may hold its address, and no result would ever be found again.
    raise TypeError(f"a setting of type {type(value).__name__} has no plain form")


def _counts(one: SettingsField, content: object) -> bool:
    return not isinstance(content, Path) and not any(one.note(sort) for sort in (Given, Line, Folder, NoEffect))
