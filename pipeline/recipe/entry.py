"""One node as it stands in a recipe, before its kind has read it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import yaml

from pipeline.recipe.values import EngineEntry, GroupsEntry
from pipeline.recipe_text import RecipeText, is_override


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """A node's mapping, with what it may refer to.

    Args:
        name: of the node.
        stage: None for models.
        where: in messages, such as `stages.stage1.smr`.
        mapping: of the node.
        text: reads values and notes what is wrong with them.
        engines: by name; None where the entry has problems of its own.
        groups: of the whole recipe.
        dataset: format of the data set; empty where that has problems.
    """

    name: str
    stage: str | None
    where: str
    mapping: yaml.Node
    text: RecipeText
    engines: Mapping[str, EngineEntry | None]
    groups: GroupsEntry
    dataset: str = ""

    @property
    def line(self) -> int:
        """Line of the file, from 1; 0 where the node comes from the command line."""
        return line_of(self.mapping)

    def read_keys(self, known: Sequence[str], *, needed: Sequence[str] = ()) -> dict[str, yaml.Node]:
        """Return the node's values by key; unknown and missing keys are noted."""
        return self.text.section(self.mapping, self.where, known=known, needed=needed)


def line_of(node: yaml.Node) -> int:
    """Return the line of a value, from 1; 0 where it comes from the command line."""
    return 0 if node.start_mark is None or is_override(node) else int(node.start_mark.line) + 1
