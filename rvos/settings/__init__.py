"""Settings: YAML text, JSON or plain mappings, read strictly into frozen dataclasses by their annotations."""

from rvos.settings.bounds import Ascending, Chance, Count, Key, Line, Positive, Range, Side, Size
from rvos.settings.document import read_document
from rvos.settings.loader import INVALID, Loader, load
from rvos.settings.nodes import Node, Section, SettingsTree
from rvos.settings.problems import Place, Problems, nearest, show
from rvos.settings.schema import Form, choose_form, describe_form, json_schema

__all__ = [
    "INVALID",
    "Ascending",
    "Chance",
    "Count",
    "Form",
    "Key",
    "Line",
    "Loader",
    "Node",
    "Place",
    "Positive",
    "Problems",
    "Range",
    "Section",
    "SettingsTree",
    "Side",
    "Size",
    "choose_form",
    "describe_form",
    "json_schema",
    "load",
    "nearest",
    "read_document",
    "show",
]
