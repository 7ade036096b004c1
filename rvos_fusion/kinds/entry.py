"""One node as it stands in a recipe, before its kind has read it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

from rvos.language.nouns import NounSettings
from rvos.settings import INVALID, Loader, Section
from rvos.settings import Node as SettingsNode
from rvos_fusion.kinds.values import DetectorEntry, EngineEntry, GroupsEntry

Settings = TypeVar("Settings")


@dataclass(frozen=True, slots=True)
class NodeEntry:
    """A node's mapping, with what it may refer to.

    Args:
        name: of the node.
        stage: None for models.
        where: in messages, such as `stages.stage1.smr`.
        mapping: of the node.
        loader: reads values and notes what is wrong with them.
        engines: by name; None where the entry has problems of its own.
        groups: of the whole recipe.
        dataset: format of the data set; empty where that has problems.
        detectors: as engines.
        nouns: of the whole recipe.
    """

    name: str
    stage: str | None
    where: str
    mapping: SettingsNode
    loader: Loader
    engines: Mapping[str, EngineEntry | None]
    groups: GroupsEntry
    dataset: str = ""
    detectors: Mapping[str, DetectorEntry | None] = field(default_factory=dict)
    nouns: NounSettings = field(default_factory=NounSettings)

    @property
    def line(self) -> int:
        """Line of the file, from 1; 0 where the node comes from the command line."""
        return self.mapping.place.line

    def load(self, settings: type[Settings], **given: Any) -> Settings | None:
        """Return the entry as a dataclass, read by its annotations; None where problems were noted.

        Args:
            given: fields that are not keys of the recipe.
        """
        value: Settings = self.loader.read(settings, self.mapping, self.where, given=given)
        return None if value is INVALID else value

    def check_part(self, key: str, settings: type) -> None:
        """Note, each at its own line, what of the mapping under a key does not fit a dataclass."""
        value = self.mapping.find(key) if isinstance(self.mapping, Section) else None
        if value is not None:
            self.loader.read(settings, value, f"{self.where}.{key}")

    def note(self, problem: str) -> None:
        """Note a problem at the node's line."""
        self.loader.problems.add(self.mapping.place, f"{self.where}: {problem}")
