"""Settings: YAML text, JSON or plain mappings, read strictly into frozen dataclasses by their annotations."""

from rvos.settings.bounds import Key, Line, Range
from rvos.settings.document import Node, Section, SettingsTree, read_document
from rvos.settings.loader import INVALID, Loader, load
from rvos.settings.problems import Place, Problems, nearest
from rvos.settings.schema import json_schema

__all__ = [
    "INVALID",
    "Key",
    "Line",
    "Loader",
    "Node",
    "Place",
    "Problems",
    "Range",
    "Section",
    "SettingsTree",
    "json_schema",
    "load",
    "nearest",
    "read_document",
]
