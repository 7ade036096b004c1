"""Reads `groups:`, of the whole recipe or of one fusion."""

from __future__ import annotations

from typing import Any

import yaml

from fusion.groups import GROUPING_RULES
from fusion.runs import RunRule
from pipeline.recipe.entry import line_of
from pipeline.recipe.values import GroupsEntry
from pipeline.recipe_text import RecipeText
from rvos.errors import FusionError

_KEYS = ("by", "file", "members", "threshold", "lengths", "fitted")


def read_groups(text: RecipeText, node: yaml.Node, what: str) -> GroupsEntry:
    """Return the entry; problems are noted."""
    values = text.section(node, what, known=_KEYS, needed=("by",))
    fields: dict[str, Any] = {"line": line_of(node)}
    if "by" in values:
        fields["by"] = text.choice(values["by"], f"{what}.by", GROUPING_RULES) or "none"
    for key in ("file", "fitted"):
        if key in values:
            fields[key] = text.path(values[key], f"{what}.{key}")
    if "members" in values:
        fields["members"] = text.texts(values["members"], f"{what}.members")
    if "threshold" in values:
        fields["threshold"] = text.convert(values["threshold"], f"{what}.threshold", _part, "between 0 and 1")
    if "lengths" in values:
        fields["lengths"] = _read_lengths(text, values["lengths"], f"{what}.lengths")
    needed = {"file": "file", "agreement": "members", "runs": "members"}.get(fields.get("by", ""))
    if needed and not fields.get(needed):
        text.problems.add(node, f"{what}: by {fields['by']} needs {needed!r}; add it")
    return GroupsEntry(**{key: value for key, value in fields.items() if value is not None})


def _read_lengths(text: RecipeText, node: yaml.Node, what: str) -> tuple[float, ...] | None:
    """Return the probabilities of runs of 1, 2, ... sentences; None where they have problems."""
    items = node.value if isinstance(node, yaml.SequenceNode) else [node]
    found = [text.convert(item, what, float, "probabilities such as [0.02, 0.97]") for item in items]
    lengths = tuple(length for length in found if length is not None)
    if len(lengths) < len(found):
        return None
    try:
        return RunRule(lengths).lengths
    except FusionError as error:
        text.problems.add(node, f"{what}: {error}")
        return None


def _part(word: str) -> float:
    if not 0 < float(word) < 1:
        raise ValueError(word)
    return float(word)
