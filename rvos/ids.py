"""Ids become file names: what an id must be so that nothing is written outside its folder."""

from __future__ import annotations

from rvos.errors import InputError

_LONGEST = 180
_FORBIDDEN = frozenset('/\\:*?"<>|')


def check_id(value: object, *, where: str, what: str) -> str:
    """Return `value` if it is text that can safely name a file or folder.

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
    return value


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
