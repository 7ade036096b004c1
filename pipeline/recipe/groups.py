"""Reads `groups:`, of the whole recipe or of one fusion."""

from __future__ import annotations

from typing import Any

import yaml

from fusion.groups import GROUPING_RULES
from pipeline.recipe.entry import line_of
from pipeline.recipe.values import GroupsEntry
from pipeline.recipe_text import RecipeText

_KEYS = ("by", "file", "members", "threshold")


def read_groups(text: RecipeText, node: yaml.Node, what: str) -> GroupsEntry:
    """Return the entry; problems are noted."""
    values = text.section(node, what, known=_KEYS, needed=("by",))
    fields: dict[str, Any] = {"line": line_of(node)}
    if "by" in values:
        fields["by"] = text.choice(values["by"], f"{what}.by", GROUPING_RULES) or "none"
    if "file" in values:
        fields["file"] = text.path(values["file"], f"{what}.file")
    if "members" in values:
        fields["members"] = text.texts(values["members"], f"{what}.members")
    if "threshold" in values:
        fields["threshold"] = text.convert(values["threshold"], f"{what}.threshold", _part, "between 0 and 1")
    needed = {"file": "file", "agreement": "members"}.get(fields.get("by", ""))
    if needed and not fields.get(needed):
        text.problems.add(node, f"{what}: by {fields['by']} needs {needed!r}; add it")
    return GroupsEntry(**{key: value for key, value in fields.items() if value is not None})


def _part(word: str) -> float:
    if not 0 < float(word) < 1:
        raise ValueError(word)
    return float(word)
