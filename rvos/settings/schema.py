"""The JSON schema of settings, from the annotations that the loader reads by: for editors that check YAML."""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from rvos.settings.bounds import ByName, Flat, Named, OneOf, Range
from rvos.settings.choices import Chosen
from rvos.settings.fields import find_note, is_settings_class, list_fields, list_keys, strip

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


def json_schema(settings: type, narrowed: Mapping[str, Schema] | None = None) -> Schema:
    """Return the JSON schema (draft 2020-12) of settings; `narrowed`: by key, in place of that of the annotation."""
    schema = describe_class(settings)
    schema["properties"] |= narrowed or {}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def describe_class(hint: Any) -> Schema:
    """Return the schema of the mappings that a dataclass is read from, without the line that says that it is one.

    Where a key chooses the class, the keys of all classes may stand there.
    """
    schema: Schema = {
        "type": "object",
        "description": (strip(hint).__doc__ or "").partition("\n")[0],
        "properties": {},
        "required": [key for key, one in list_keys(hint).items() if one.is_required],
        "additionalProperties": False,
    }
    choices = list(_add_all(hint, schema["properties"]))
    return {**schema, "allOf": choices} if choices else schema


def _add_all(hint: Any, properties: Schema) -> Iterator[Schema]:
    """Add the keys of a dataclass, or of all classes that a key chooses from, and that key."""
    chosen = find_note(hint, Chosen)
    if chosen is not None and chosen.rows:
        properties[chosen.key] = {"enum": list(chosen.rows), "default": chosen.default}
    for cls in [strip(hint)] if chosen is None else chosen.classes():
        yield from _add_properties(cls, properties)


def _add_properties(cls: type, properties: Schema) -> Iterator[Schema]:
    """Add the schema of every key; yield what the value of one key says of another."""
    texts = _read_arguments(cls)
    for one in list_fields(cls):
        if one.note(Flat):
            yield from _add_all(one.hint, properties)
        elif one.is_key:
            said = {"description": texts[one.name]} if one.name in texts else {}
            schema = {**said, **describe(one.hint)}
            default = list(one.default) if isinstance(one.default, tuple) else one.default
            if isinstance(default, str | int | float | bool | list):
                schema["default"] = default
            _offer(properties, one.key, schema)
        if by_name := one.note(ByName):
            for name, chosen in by_name.classes.items():
                then = {"properties": {one.key: describe_class(chosen)}}
                yield {"if": _has_value(by_name.key, [name]), "then": then}


def _offer(properties: Schema, key: str, schema: Schema) -> None:
    """Add the schema of a key; where another class has the key too, either may hold."""
    known = properties.setdefault(key, schema)
    if {**known, "description": ""} != {**schema, "description": ""}:
        said = {"description": known["description"]} if "description" in known else {}
        properties[key] = {**said, "anyOf": [known, schema]}


def choose_form(keyword: str, cases: Sequence[tuple[Sequence[str], Schema]], otherwise: Schema) -> Schema:
    """Return the schema of mappings whose form follows from the value of a key: the case that lists it, or the last."""
    schema = otherwise
    for values, case in reversed(cases):
        schema = {"if": _has_value(keyword, values), "then": case, "else": schema}
    return schema


def _has_value(key: str, values: Sequence[str]) -> Schema:
    return {"properties": {key: {"enum": list(values)}}, "required": [key]}


def describe(hint: Any) -> Schema:
    """Return the schema of the values of an annotation."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        if find_note(hint, Named):
            return describe(str | None if type(None) in get_args(arguments[0]) else str)
        if find_note(hint, Chosen):
            return describe_class(hint)
        schema = describe(arguments[0])
        for note in arguments[1:]:
            if isinstance(note, OneOf):
                return {"enum": list(note.names)}
            if isinstance(note, Range):
                limits = {_LIMITS[name]: end for name, end in dataclasses.asdict(note).items() if end is not None}
                inner = schema["items"] if schema.get("type") == "array" and schema["items"] else schema
                inner.update(limits)
        return schema
    if origin in (Union, types.UnionType):
        return {"anyOf": [describe(choice) for choice in arguments]}
    if origin is Literal:
        return {"enum": list(arguments)}
    if origin is tuple and arguments[-1] is Ellipsis:
        return {"type": "array", "items": describe(arguments[0])}
    if origin is tuple:
        items = [describe(item) for item in arguments]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "items": False}
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": describe(arguments[1])}
    if is_settings_class(hint):
        whole = describe_class(hint)
        return {"anyOf": [{"type": "string"}, whole]} if hasattr(hint, "from_name") else whole
    # What parses its own text says no more than that, and what is read later may be anything.
    return dict(_SCALARS.get(hint, {"type": ["string", "number"]} if hasattr(hint, "parse") else {}))


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
