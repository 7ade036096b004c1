"""The JSON schema of settings, from the annotations that the loader reads by: for editors that check YAML."""

from __future__ import annotations

import dataclasses
import types
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from rvos.settings.bounds import Line, Range
from rvos.settings.loader import field_key, is_settings_class

_SCALARS: dict[Any, dict[str, Any]] = {
    str: {"type": ["string", "number", "boolean"]},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    Fraction: {"type": ["number", "string"]},
    Path: {"type": "string"},
    type(None): {"type": "null"},
}
_LIMITS = {"least": "minimum", "most": "maximum", "above": "exclusiveMinimum", "below": "exclusiveMaximum"}


def json_schema(settings: type) -> dict[str, Any]:
    """Return the JSON schema (draft 2020-12) of a dataclass of settings."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **_describe(settings)}


def _describe(hint: Any) -> dict[str, Any]:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _limit(_describe(arguments[0]), arguments[1:])
    if origin in (Union, types.UnionType):
        return {"anyOf": [_describe(choice) for choice in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple:
        return _describe_tuple(arguments)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _describe(arguments[1])}
    if is_settings_class(hint):
        return _describe_class(hint)
    # What parses its own text says no more than that, and what is read later may be anything.
    return dict(_SCALARS.get(hint, {"type": ["string", "number"]} if hasattr(hint, "parse") else {}))


def _describe_class(cls: Any) -> dict[str, Any]:
    hints = get_type_hints(cls, include_extras=True)
    fields = [field for field in dataclasses.fields(cls) if field.init and not _is_line(hints[field.name])]
    missing = dataclasses.MISSING
    return {
        "type": "object",
        "description": (cls.__doc__ or "").partition("\n")[0],
        "properties": {field_key(field, hints[field.name]): _describe(hints[field.name]) for field in fields},
        "required": [
            field_key(field, hints[field.name])
            for field in fields
            if field.default is missing and field.default_factory is missing
        ],
        "additionalProperties": False,
    }


def _describe_tuple(items: tuple[Any, ...]) -> dict[str, Any]:
    if items[-1] is Ellipsis:
        return {"type": "array", "items": _describe(items[0])}
    return {"type": "array", "prefixItems": [_describe(item) for item in items], "minItems": len(items), "items": False}


def _limit(schema: dict[str, Any], notes: tuple[object, ...]) -> dict[str, Any]:
    """Return the schema with the range of a number, or of the numbers in a list."""
    for note in notes:
        if isinstance(note, Range):
            limits = {_LIMITS[name]: end for name, end in dataclasses.asdict(note).items() if end is not None}
            inner = schema["items"] if schema.get("type") == "array" and schema["items"] else schema
            inner.update(limits)
    return schema


def _is_line(hint: Any) -> bool:
    return get_origin(hint) is Annotated and any(isinstance(note, Line) for note in get_args(hint)[1:])
