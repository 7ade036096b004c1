"""Network configurations from the JSON that our own checkpoints carry."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, TypeVar

from rvos.errors import ConfigError

Config = TypeVar("Config")


def config_from(cls: type[Config], values: Mapping[str, Any]) -> Config:
    """Return the dataclass `cls` with `values`: nested mappings become dataclasses, lists become tuples.

    Raises:
        ConfigError: a key that the class does not have, or a value that is missing.
    """
    hints = typing.get_type_hints(cls)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ConfigError(
            f"{cls.__name__}: no entry {', '.join(unknown)}; the checkpoint is newer than this program, update it"
        )
    try:
        return cls(**{name: _convert(hints[name], value) for name, value in values.items()})
    except TypeError as error:
        raise ConfigError(f"{cls.__name__}: {error}; the checkpoint's configuration is incomplete") from None


def _convert(hint: Any, value: Any) -> Any:
    """Return a JSON value as the annotated type; a union takes the dataclass with these keys."""
    if isinstance(value, list):
        return tuple(_convert(None, item) for item in value)
    if not isinstance(value, Mapping):
        return value
    is_union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    parts: tuple[Any, ...] = typing.get_args(hint) if is_union else (hint,)
    choices: list[Any] = [part for part in parts if dataclasses.is_dataclass(part)]
    fitting = [choice for choice in choices if set(value) <= _fields(choice)]
    if not choices:
        return dict(value)
    if not fitting:
        # The one that is nearest names the entries that it lacks.
        return config_from(min(choices, key=lambda choice: len(set(value) - _fields(choice))), value)
    best = next((choice for choice in fitting if set(value) == _fields(choice)), fitting[0])
    return config_from(best, value)


def _fields(cls: Any) -> set[str]:
    return {field.name for field in dataclasses.fields(cls)}
