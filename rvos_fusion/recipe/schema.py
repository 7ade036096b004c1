"""The JSON schema of a recipe, from the very classes that it is read as: editors then complete and check it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rvos.language.nouns import NounSettings
from rvos.settings import choose_form, describe, describe_class, json_schema
from rvos_fusion.kinds.groups.grouping import GroupSettings
from rvos_fusion.kinds.table import list_kinds, list_variants
from rvos_fusion.recipe.reader import DETECTOR, ENGINE, JUDGE, NEEDED, ROW, Sections, Submission
from rvos_fusion.recipe.recipe import DatasetEntry

Schema = dict[str, Any]


def recipe_schema() -> Schema:
    """Return the JSON schema (draft 2020-12) of recipes."""
    sections = {
        "dataset": describe_class(DatasetEntry),
        "workspace": describe(Path),
        "paths": describe(Mapping[str, Path]),
        "groups": describe_class(GroupSettings),
        "nouns": describe_class(NounSettings),
        "models": _map_of(_describe_nodes("models")),
        "engines": _map_of(describe_class(ENGINE)),
        "detectors": _map_of(describe_class(DETECTOR)),
        "judges": _map_of(describe_class(JUDGE)),
        "stages": {**_map_of(_map_of(_describe_nodes("stages"))), "minProperties": 1},
        "submission": describe(Submission | str),
        "rows": describe(Mapping[str, ROW]),
    }
    schema = json_schema(Sections, sections)
    return {**schema, "title": "recipe of rvos-fusion", "required": list(NEEDED)}


def _map_of(schema: Schema) -> Schema:
    return {"type": "object", "additionalProperties": schema}


def _describe_nodes(section: str) -> Schema:
    """Return the schema of one node; as for the reader, the first kind whose key is there is meant."""
    kinds = list_kinds(section)
    schema: Schema = {"anyOf": [{"required": [keyword]} for keyword in kinds]}
    for keyword in reversed(kinds):
        schema = {"if": {"required": [keyword]}, "then": _describe_keyword(keyword), "else": schema}
    # Editors offer these keys before any of them is there.
    return {"type": "object", "properties": {keyword: {} for keyword in kinds}, **schema}


def _describe_keyword(keyword: str) -> Schema:
    variants = list_variants(keyword)
    *cases, last = [(() if names is None else names.known(), describe_class(kind)) for kind, names in variants.items()]
    return choose_form(keyword, cases, last[1])
