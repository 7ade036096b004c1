"""The JSON schema of settings, from the annotations that the loader reads by: for editors that check YAML."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from rvos.settings.bounds import Line, Range
from rvos.settings.loader import field_key, is_settings_class

Schema = dict[str, Any]
_SCALARS: dict[Any, Schema] = {
    str: {"type": ["string", "number", "boolean"]},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    Fraction: {"type": ["number", "string"]},
    Path: {"type": "string"},
    type(None): {"type": "null"},
}
_LIMITS = {"least": "minimum", "most": "maximum", "above": "exclusiveMinimum", "below": "exclusiveMaximum"}
_ARGUMENT = re.compile(r"    ((?:\w+, )*\w+): (.*)")


@dataclass(frozen=True, slots=True)
class Form:
    """What a mapping of the file may hold.

    Args:
        settings: the dataclass that it is read as.
        given: fields that do not stand in the file.
        narrowed: by key, an annotation or a ready schema in place of the field's own annotation.
    """

    settings: type
    given: tuple[str, ...] = ()
    narrowed: Mapping[str, Any] = field(default_factory=dict)


def json_schema(settings: type | Form) -> Schema:
    """Return the JSON schema (draft 2020-12) of a dataclass of settings."""
    form = settings if isinstance(settings, Form) else Form(settings)
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **describe_form(form)}


def describe_form(form: Form) -> Schema:
    """Return the schema of a form, without the line that says that it is one."""
    cls: Any = form.settings
    hints = get_type_hints(cls, include_extras=True)
    fields = [one for one in dataclasses.fields(cls) if one.init and one.name not in form.given]
    keys = {field_key(one, hints[one.name]): one for one in fields if not _is_line(hints[one.name])}
    texts = _read_arguments(cls)
    missing = dataclasses.MISSING
    properties = {}
    for key, one in keys.items():
        said = {"description": texts[one.name]} if one.name in texts else {}
        properties[key] = {**said, **_describe(form.narrowed.get(key, hints[one.name])), **_describe_default(one)}
    return {
        "type": "object",
        "description": (cls.__doc__ or "").partition("\n")[0],
        "properties": properties,
        "required": [key for key, one in keys.items() if one.default is missing and one.default_factory is missing],
        "additionalProperties": False,
    }


def choose_form(keyword: str, cases: Sequence[tuple[Sequence[str], Schema]], otherwise: Schema) -> Schema:
    """Return the schema of mappings whose form the value of a key decides.

    Args:
        cases: values of the key, and the schema that holds then.
    """
    schema = otherwise
    for values, case in reversed(cases):
        test = {"properties": {keyword: {"enum": list(values)}}, "required": [keyword]}
        schema = {"if": test, "then": case, "else": schema}
    return schema


def _describe(hint: Any) -> Schema:
    if isinstance(hint, dict):
        return dict(hint)
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
        return describe_form(Form(hint))
    # What parses its own text says no more than that, and what is read later may be anything.
    return dict(_SCALARS.get(hint, {"type": ["string", "number"]} if hasattr(hint, "parse") else {}))


def _describe_tuple(items: tuple[Any, ...]) -> Schema:
    if items[-1] is Ellipsis:
        return {"type": "array", "items": _describe(items[0])}
    return {"type": "array", "prefixItems": [_describe(item) for item in items], "minItems": len(items), "items": False}


def _describe_default(one: dataclasses.Field[Any]) -> Schema:
    default = list(one.default) if isinstance(one.default, tuple) else one.default
    is_plain = isinstance(default, str | int | float | bool | list)
    return {"default": default} if is_plain else {}


def _limit(schema: Schema, notes: tuple[object, ...]) -> Schema:
    """Return the schema with the range of a number, or of the numbers in a list."""
    for note in notes:
        if isinstance(note, Range):
            limits = {_LIMITS[name]: end for name, end in dataclasses.asdict(note).items() if end is not None}
            inner = schema["items"] if schema.get("type") == "array" and schema["items"] else schema
            inner.update(limits)
    return schema


def _read_arguments(cls: type) -> dict[str, str]:
    """Return what the section `Args:` of a class and of those that it derives from says of its fields."""
    found: dict[str, str] = {}
    for one in cls.__mro__:
        _, _, section = inspect.cleandoc(one.__dict__.get("__doc__") or "").partition("Args:\n")
        names: list[str] = []
        for line in section.splitlines():
            begin = _ARGUMENT.match(line)
            if begin is not None:
                names = [name for name in begin.group(1).split(", ") if name not in found]
                found |= dict.fromkeys(names, begin.group(2))
            elif line.startswith(" " * 8):
                found |= {name: f"{found[name]} {line.strip()}" for name in names}
            else:
                break
    return found


def _is_line(hint: Any) -> bool:
    return get_origin(hint) is Annotated and any(isinstance(note, Line) for note in get_args(hint)[1:])
