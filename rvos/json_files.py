"""Strict JSON: errors name the file and line, and an object must not repeat a key."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from rvos.errors import InputError

_TOKENS = re.compile(r'("(?:[^"\\]|\\.)*")(?=\s*:)|"(?:[^"\\]|\\.)*"|[{}\[\]]')


def read_json(path: Path) -> Any:
    """Return the content of a JSON file.

    Raises:
        InputError: missing, unreadable, not JSON, or an object repeats a key; with the line.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise InputError(f"{path}: no such file; check the path") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}); check the path and its rights") from None
    return parse_json(content, where=str(path))


def parse_json(content: bytes, *, where: str) -> Any:
    """Return the value of JSON text in UTF-8; `where` names its file in errors.

    Raises:
        InputError: not JSON, or an object repeats a key; with the line.
    """
    try:
        text = content.decode("utf-8-sig")
        return json.loads(text, object_pairs_hook=_refuse_repeats)
    except _RepeatedKeyError as error:
        line = _find_repeat(text)
        raise InputError(f"{where}:{line}: {error.key!r} is given twice in one object; keep one") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{where}:{error.lineno}: not JSON ({error.msg}); correct the file") from None
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InputError(f"{where}: not JSON ({error}); correct the file") from None


def expect_object(value: object, *, where: str) -> dict[str, Any]:
    """Return `value` if it is a JSON object.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(value, dict):
        raise InputError(f"{where}: {_name(value)} instead of an object; correct the file")
    return value


def expect_list(value: object, *, where: str) -> list[Any]:
    """Return `value` if it is a JSON list.

    Raises:
        InputError: it is something else.
    """
    if not isinstance(value, list):
        raise InputError(f"{where}: {_name(value)} instead of a list; correct the file")
    return value


def _name(value: object) -> str:
    return "nothing" if value is None else repr(value)[:40]


class _RepeatedKeyError(Exception):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _refuse_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _RepeatedKeyError(key)
            seen.add(key)
    return result


def _find_repeat(text: str) -> int:
    """Return the line of the first key that its object already has, in text known to be JSON."""
    open_objects: list[set[str]] = []
    for token in _TOKENS.finditer(text):
        if token[0] in "{[":
            open_objects.append(set())
        elif token[0] in "}]":
            open_objects.pop()
        elif token[1]:
            key = json.loads(token[1])
            if key in open_objects[-1]:
                return text.count("\n", 0, token.start()) + 1
            open_objects[-1].add(key)
    return 1
