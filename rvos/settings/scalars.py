"""Single values: what a number, a truth value or a text may look like; numbers are finite and have bounded digits."""

from __future__ import annotations

import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

from rvos.errors import PipelineError
from rvos.settings.nodes import Text, Value, describe

_LONGEST_NUMBER = 40
_LARGEST_INTEGER = 2**63 - 1
_FRACTION = re.compile(r"[-+]?\d+(\.\d*)?([eE][-+]?\d\d?)?|[-+]?\.\d+([eE][-+]?\d\d?)?|[-+]?\d+/0*[1-9]\d*", re.ASCII)
_TRUTH = {"true": True, "True": True, "false": False, "False": False}

EXPECTED = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    Fraction: "a number",
    str: "text",
    Path: "a path",
}
"""What a scalar must be, in words."""


class ScalarError(ValueError):
    """A value that is not what it should be; the message follows its name."""


def read_scalar(hint: Any, node: Text | Value) -> Any:
    """Return a single value as a type of `EXPECTED`, or as a class that has `parse(text)`.

    Raises:
        ScalarError: it is something else.
        PipelineError: `parse` refuses it.
    """
    if describe(node) == "nothing" and not (hint is str and isinstance(node, Text) and (node.text or not node.plain)):
        raise ScalarError("must be a single value; found nothing")
    word = node.text if isinstance(node, Text) else node.value
    if hint is str or hint is bool:
        if isinstance(node, Value):
            if type(word) is hint:
                return word
            raise ScalarError(f"{describe(node)} is not {EXPECTED[hint]}")
        if hint is str:
            return word
        if word in _TRUTH:
            return _TRUTH[word]
        raise ScalarError(f"{describe(node)} is unknown; choose one of true, false")
    if hint in (int, float, Fraction):
        number = _read_number(hint, word, is_text=isinstance(node, Text))
        if number is None:
            raise ScalarError(f"{describe(node)} is not {EXPECTED[hint]}")
        return number
    if not hasattr(hint, "parse"):
        raise TypeError(f"{hint} is no annotation that settings are read by")
    try:
        return hint.parse(str(word))
    except PipelineError:
        raise
    except (ValueError, ArithmeticError):
        raise ScalarError(f"{describe(node)} is not {hint.__name__.lower()}") from None


def guess(node: Text | Value) -> Any:
    """Return a single value as it looks: nothing, a truth value, a number, else text; text in quotes is text."""
    if isinstance(node, Value):
        return node.value
    if not node.plain:
        return node.text
    if node.is_null:
        return None
    if node.text in _TRUTH:
        return _TRUTH[node.text]
    for kind in (int, float):
        number = _read_number(kind, node.text, is_text=True)
        if number is not None:
            return number
    return node.text


def _read_number(hint: Any, word: Any, *, is_text: bool) -> Any:
    """Return a number; None for anything that is none, not finite or too long."""
    kinds = str if is_text else (int, float)
    if not isinstance(word, kinds) or isinstance(word, bool):
        return None
    if isinstance(word, float) and (not math.isfinite(word) or hint is int):
        return None
    if isinstance(word, int) and abs(word) > _LARGEST_INTEGER:
        return None
    if isinstance(word, str) and len(word) > _LONGEST_NUMBER:
        return None
    try:
        if hint is Fraction:
            return Fraction(word) if not isinstance(word, str) or _FRACTION.fullmatch(word.strip()) else None
        number = hint(word)
        is_fine = math.isfinite(number) if hint is float else abs(number) <= _LARGEST_INTEGER
        return number if is_fine else None
    except (ValueError, OverflowError):
        return None
