"""Settings: YAML text, JSON or plain mappings, read strictly into frozen dataclasses by their annotations."""

from rvos.settings.bounds import (
    Ascending,
    ByName,
    Chance,
    Count,
    Flat,
    Folder,
    Given,
    Key,
    Line,
    Named,
    Names,
    NoEffect,
    OneOf,
    Positive,
    Range,
    Side,
    Size,
)
from rvos.settings.choices import ChoiceError, Chosen, load_row
from rvos.settings.document import read_document
from rvos.settings.fields import SettingsField, list_fields, list_keys
from rvos.settings.loader import INVALID, Loader, load
from rvos.settings.nodes import Node, Section, SettingsTree
from rvos.settings.problems import Place, Problems, count, name_type, nearest, show
from rvos.settings.schema import choose_form, describe, describe_class, json_schema

__all__ = [
    "INVALID",
    "Ascending",
    "ByName",
    "Chance",
    "ChoiceError",
    "Chosen",
    "Count",
    "Flat",
    "Folder",
    "Given",
    "Key",
    "Line",
    "Loader",
    "Named",
    "Names",
    "NoEffect",
    "Node",
    "OneOf",
    "Place",
    "Positive",
    "Problems",
    "Range",
    "Section",
    "SettingsField",
    "SettingsTree",
    "Side",
    "Size",
    "choose_form",
    "count",
    "describe",
    "describe_class",
    "json_schema",
    "list_fields",
    "list_keys",
    "load",
    "load_row",
    "name_type",
    "nearest",
    "read_document",
    "show",
]
