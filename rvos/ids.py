"""Ids become file names: what an id must be so that nothing is written outside its folder, and when two are one.

Systems write a letter with an accent as one character or as two; names that differ in nothing else are one name, which
is composed (Unicode normal form C) wherever it is read.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from rvos.errors import InputError

_LONGEST = 180
_FORBIDDEN = frozenset('/\\:*?"<>|')


def compose_name(name: str) -> str:
    """Return a name in its composed form."""
    return name if name.isascii() else unicodedata.normalize("NFC", name)


def compose_names(names: Iterable[str], *, where: str) -> dict[str, str]:
    """Return composed name -> name as it is written.

    Raises:
        InputError: two differ in their normal form alone.
    """
    found: dict[str, str] = {}
    for name in names:
        if found.setdefault(compose_name(name), name) != name:
            raise InputError(f"{where}: {compose_name(name)!r} is there twice, in two Unicode normal forms; keep one")
    return found


def check_id(value: object, *, where: str, what: str) -> str:
    """Return `value`, composed, if it is text that can safely name a file or folder.

    Args:
        where: file, or place in it, that the id comes from.
        what: "video", "expression", "frame", "node".

    Raises:
        InputError: not text, empty, too long, hidden, or holding path separators or control characters.
    """
    if not isinstance(value, str):
        raise InputError(f"{where}: {what} id {value!r} is not text; quote it")
    problem = _find_problem(value)
    if problem:
        raise InputError(f"{where}: {what} id {value!r} {problem}; rename it")
    return compose_name(value)


def check_path(value: object, *, where: str, what: str) -> str:
    """Return an id that may be a relative path such as `LVVIS/train/00001`; raises as `check_id` does for its parts."""
    if isinstance(value, str) and "/" in value:
        if problem := next((found for part in value.split("/") if (found := _find_problem(part))), ""):
            raise InputError(f"{where}: {what} id {value!r}: a part {problem}; rename it")
        if len(value.encode("utf-8", "replace")) > _LONGEST:
            raise InputError(f"{where}: {what} id {value!r} is longer than {_LONGEST} bytes; rename it")
        return compose_name(value)
    return check_id(value, where=where, what=what)


def list_paths(names: Iterable[str]) -> frozenset[str]:
    """Return the ids that are paths: the folders of their first parts hold no video themselves."""
    return frozenset(name for name in names if "/" in name)


def escape_path(name: str) -> str:
    """Return an id as the name of one file, another one for every id."""
    return name.replace("%", "%25").replace("/", "%2F")


def unescape_path(name: str) -> str:
    """Return the id that `escape_path` made a file name of."""
    return name.replace("%2F", "/").replace("%25", "%")


def _find_problem(value: str) -> str:
    if not value:
        return "is empty"
    if value.startswith(".") or _FORBIDDEN & set(value):
        return 'cannot name a file safely (leading dot or one of / \\ : * ? " < > |)'
    if not value.isprintable() or value != value.strip():
        return "holds control characters or outer blanks"
    if len(value.encode("utf-8", "replace")) > _LONGEST:
        return f"is longer than {_LONGEST} bytes"
    return ""
