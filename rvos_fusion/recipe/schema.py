"""The JSON schema of a recipe, from the very classes that it is read as: editors then complete and check it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from propagate.engines.settings import EngineSettings
from runners.detectors.base import DetectorSettings
from rvos.language.nouns import NounSettings
from rvos.settings import Form, choose_form, describe_form, json_schema
from rvos_fusion.kinds.base import Node
from rvos_fusion.kinds.table import list_kinds
from rvos_fusion.kinds.values import DatasetEntry, GroupsEntry
from rvos_fusion.recipe.reader import BESIDE, NEEDED, Sections, Submission

Schema = dict[str, Any]


def recipe_schema() -> Schema:
    """Return the JSON schema (draft 2020-12) of recipes."""
    nodes = _map_of(_describe_nodes("stages"))
    sections = {
        "dataset": DatasetEntry,
        "workspace": Path,
        "paths": Mapping[str, Path],
        "groups": GroupsEntry,
        "nouns": NounSettings,
        "models": _map_of(_describe_nodes("models")),
        "engines": _map_of(describe_form(Form(EngineSettings, given=(BESIDE,)))),
        "detectors": _map_of(describe_form(Form(DetectorSettings, given=(BESIDE,)))),
        "stages": {**_map_of(nodes), "minProperties": 1},
        "submission": Submission | str,
    }
    form = json_schema(Form(Sections, narrowed=sections))
    return {**form, "title": "recipe of rvos-fusion", "required": list(NEEDED)}


def _map_of(schema: Schema) -> Schema:
    return {"type": "object", "additionalProperties": schema}


def _describe_nodes(section: str) -> Schema:
    """Return the schema of one node; as for the reader, the first kind whose key is there is meant."""
    kinds = list_kinds(section)
    schema: Schema = {"anyOf": [{"required": [keyword]} for keyword in kinds]}
    for keyword, kind in reversed(kinds.items()):
        schema = {"if": {"required": [keyword]}, "then": _describe_kind(keyword, kind), "else": schema}
    # Editors offer these keys before any of them is there.
    return {"type": "object", "properties": {keyword: {} for keyword in kinds}, **schema}


def _describe_kind(keyword: str, kind: type[Node]) -> Schema:
    *cases, last = kind.forms()
    listed = [(_find_values(form, keyword), describe_form(form)) for form in cases]
    return choose_form(keyword, listed, describe_form(last))


def _find_values(form: Form, keyword: str) -> Sequence[str]:
    """Return the values of the keyword that a form is for."""
    hint = form.narrowed.get(keyword) or get_type_hints(form.settings)[keyword]
    return get_args(hint) if get_origin(hint) is Literal else ()
