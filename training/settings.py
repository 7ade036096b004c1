"""Strict reading of YAML mappings into frozen dataclasses: every problem in one message."""

from __future__ import annotations

import dataclasses
import difflib
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

import yaml

from rvos.errors import ConfigError

Settings = TypeVar("Settings")


class _MismatchError(Exception):
    """A value that does not fit its field; the reader of the mapping collects them."""


def from_mapping(settings: type[Settings], values: Mapping[str, Any], *, where: str) -> Settings:
    """Return the dataclass `settings` filled from `values`; nested dataclasses from nested mappings.

    Raises:
        ConfigError: unknown or missing keys, or values of another type; all of them are named.
    """
    problems: list[str] = []
    result = _fill(settings, values, "", problems)
    if problems:
        raise ConfigError(f"{where}: {'; '.join(problems)}; mend the settings")
    return cast(Settings, result)


def _fill(settings: type, values: Mapping[str, Any], prefix: str, problems: list[str]) -> object:
    hints = get_type_hints(settings)
    fields = {field.name: field for field in dataclasses.fields(settings) if field.init}
    for name in values:
        if name not in fields:
            near = difflib.get_close_matches(str(name), fields, n=1)
            problems.append(f"{prefix}{name} is unknown" + (f" (is {near[0]} meant?)" if near else ""))
    arguments = {}
    for name, field in fields.items():
        if name in values:
            try:
                arguments[name] = _convert(hints[name], values[name], f"{prefix}{name}", problems)
            except _MismatchError as mismatch:
                problems.append(f"{prefix}{name} is {values[name]!r}, expected {mismatch}")
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            problems.append(f"{prefix}{name} is missing")
    return None if problems else settings(**arguments)


def _convert(hint: Any, value: Any, name: str, problems: list[str]) -> Any:
    """Return `value` as `hint` wants it; raises `_MismatchError` with what was expected."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        return _convert_union(arguments, value, name, problems)
    if dataclasses.is_dataclass(hint):
        if not isinstance(value, Mapping):
            raise _MismatchError("a mapping")
        return _fill(cast(type, hint), value, f"{name}.", problems)
    if origin is Literal:
        if value not in arguments:
            raise _MismatchError(f"one of {', '.join(map(str, arguments))}")
        return value
    if origin is tuple:
        return _convert_tuple(arguments, value, name, problems)
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        if not isinstance(value, Mapping):
            raise _MismatchError("a mapping")
        return dict(value)
    return _convert_scalar(hint, value)


def _convert_union(choices: tuple[Any, ...], value: Any, name: str, problems: list[str]) -> Any:
    if value is None and type(None) in choices:
        return None
    expected = []
    for choice in (choice for choice in choices if choice is not type(None)):
        try:
            return _convert(choice, value, name, problems)
        except _MismatchError as mismatch:
            expected.append(str(mismatch))
    raise _MismatchError(" or ".join(expected))


def _convert_tuple(items: tuple[Any, ...], value: Any, name: str, problems: list[str]) -> tuple[Any, ...]:
    if isinstance(value, str) or not isinstance(value, Sequence):
        raise _MismatchError("a list")
    if items[-1] is Ellipsis:
        items = (items[0],) * len(value)
    if len(items) != len(value):
        raise _MismatchError(f"{len(items)} values")
    pairs = enumerate(zip(items, value, strict=True))
    return tuple(_convert(hint, item, f"{name}[{i}]", problems) for i, (hint, item) in pairs)


def _convert_scalar(hint: Any, value: Any) -> Any:
    if hint is Any or (hint is Path and isinstance(value, Path)):
        return value
    if hint is Path and isinstance(value, str):
        return Path(value)
    if hint is float and not isinstance(value, bool):
        # YAML reads 1e-4 as text.
        try:
            return float(value)
        except (TypeError, ValueError):
            raise _MismatchError("a number") from None
    if hint in (bool, str) and isinstance(value, hint):
        return value
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    raise _MismatchError(
        {bool: "true or false", str: "text", int: "a whole number", Path: "a path"}.get(hint, str(hint))
    )


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping in a YAML file.

    Raises:
        ConfigError: the file is missing, is no YAML or holds no mapping.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); check the path") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid YAML ({' '.join(str(error).split())}); mend the file") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: holds no mapping; start with `name:`")
    return content


def override(values: dict[str, Any], assignments: Sequence[str]) -> dict[str, Any]:
    """Return `values` with every `dotted.key=YAML value` of `assignments` set.

    Raises:
        ConfigError: no `=`, a value that is no YAML, or a key inside something that is no mapping.
    """
    result = {**values}
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {assignment}: no `=`; write --set loop.steps=100")
        *parents, last = key.split(".")
        level = result
        for parent in parents:
            inner = level.get(parent, {})
            if not isinstance(inner, Mapping):
                raise ConfigError(f"--set {assignment}: {parent} holds a value, not settings; check the key")
            level[parent] = dict(inner)
            level = level[parent]
        try:
            level[last] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"--set {assignment}: {text!r} is no YAML value; quote it") from None
    return result
