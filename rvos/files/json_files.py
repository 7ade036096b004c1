"""Strict JSON: bounded, errors name the file and line, and an object must not repeat a key."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from rvos.errors import InputError
from rvos.files.atomic import read_whole
from rvos.ids import compose_name

_TOKENS = re.compile(r'("(?:[^"\\]|\\.)*")(?=\s*:)|"(?:[^"\\]|\\.)*"|[{}\[\]]')
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))
# Only such digits can make an integer beyond 64 bits or a number beyond float64.
_LARGE_NUMBER = re.compile(rb"[0-9]{19}|[0-9][eE]\+?[0-9]{3}")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_DEEPEST = 100
_LARGEST_FILE = 1 << 28
_LARGEST_INTEGER = 1 << 63


def read_json(path: Path, *, most: int = _LARGEST_FILE) -> Any:
    """Return the content of a JSON file of at most `most` bytes. Raises InputError: unreadable, or not strict JSON."""
    return parse_json(read_whole(path, most=most), where=str(path))


def parse_json(content: bytes, *, where: str) -> Any:
    """Return the value of JSON text in UTF-8, its keys composed; `where` names its file in errors.

    Raises:
        InputError: not JSON, an object repeats a key (both with the line), nesting deeper than 100, not a number or
            infinite, integers beyond 64 bits, or text that no file can hold (half a surrogate pair).
    """
    try:
        text = content.decode("utf-8-sig")
        value = json.loads(text, object_pairs_hook=_refuse_repeats, parse_constant=_refuse_constant)
    except _RepeatedKeyError as error:
        line = _find_repeat(text)
        raise InputError(f"{where}:{line}: {error.key!r} is given twice in one object; keep one") from None
    except json.JSONDecodeError as error:
        raise InputError(f"{where}:{error.lineno}: not JSON ({error.msg}); correct the file") from None
    except RecursionError:
        raise InputError(f"{where}: nested deeper than {_DEEPEST} levels; correct the file") from None
    except (UnicodeDecodeError, ValueError) as error:
        raise InputError(f"{where}: not JSON ({error}); correct the file") from None
    _check_depth(content, where)
    if _LARGE_NUMBER.search(content) or _SURROGATE.search(content):
        _check_values(value, where)
    return value


def _check_depth(content: bytes, where: str) -> None:
    """Check the nesting on the brackets alone: what reads the value after us may recurse."""
    brackets = np.frombuffer(_STRING.sub(b"", content).translate(None, _NO_BRACKETS), np.uint8)
    opens = (brackets == ord("[")) | (brackets == ord("{"))
    if int(np.cumsum(np.where(opens, 1, -1)).max(initial=0)) > _DEEPEST:
        raise InputError(f"{where}: nested deeper than {_DEEPEST} levels; correct the file")


def _check_values(value: Any, where: str) -> None:
    """Check every number and text; only content that holds something suspicious is walked."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            waiting += [*one.keys(), *one.values()]
        elif isinstance(one, list):
            waiting += one
        elif isinstance(one, str):
            if not one.isprintable() and any("\ud800" <= letter <= "\udfff" for letter in one):
                raise InputError(f"{where}: half a character in {ascii(one)[:60]}; write the text anew")
        elif isinstance(one, float) and one in (float("inf"), float("-inf")):
            raise InputError(f"{where}: a number beyond 1.8e308; correct the file")
        elif isinstance(one, int) and not -_LARGEST_INTEGER <= one < _LARGEST_INTEGER:
            raise InputError(f"{where}: an integer of more than 64 bits; correct the file")


def expect_object(value: object, *, where: str) -> dict[str, Any]:
    """Return `value` if it is a JSON object. Raises InputError: it is something else."""
    if not isinstance(value, dict):
        raise InputError(f"{where}: {_name(value)} instead of an object; correct the file")
    return value


def expect_list(value: object, *, where: str) -> list[Any]:
    """Return `value` if it is a JSON list. Raises InputError: it is something else."""
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
    result = {compose_name(key): value for key, value in pairs}
    if len(result) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if compose_name(key) in seen:
                raise _RepeatedKeyError(key)
            seen.add(compose_name(key))
    return result


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no number of JSON")


def _find_repeat(text: str) -> int:
    """Return the line of the first key that its object already has, in text known to be JSON."""
    open_objects: list[set[str]] = []
    for token in _TOKENS.finditer(text):
        if token[0] in "{[":
            open_objects.append(set())
        elif token[0] in "}]":
            open_objects.pop()
        elif token[1]:
            key = compose_name(json.loads(token[1]))
            if key in open_objects[-1]:
                return text.count("\n", 0, token.start()) + 1
            open_objects[-1].add(key)
    return 1
