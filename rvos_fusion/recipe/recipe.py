"""A recipe as a value: data set, workspace and the nodes of all stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from propagate.engines.settings import EngineSettings
from rvos.formats import FORMATS, Dataset, open_dataset
from rvos.language.nouns import NounSettings
from rvos.settings import Names, Size
from rvos_fusion.kinds.base import Node, NodeGraph
from rvos_fusion.kinds.groups.grouping import GroupSettings


@dataclass(frozen=True)
class FormatName(Names):
    """Marks the name of a data set's format."""

    def known(self) -> Sequence[str]:
        return tuple(FORMATS)


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """`dataset:` of a recipe.

    Args:
        window: frames around the annotated one, for A2D-Sentences and JHMDB-Sentences; None: 5.
    """

    format: Annotated[str, FormatName()]
    root: Path
    split: str
    window: Size | None = None

    def open(self) -> Dataset:
        """Return the split.

        Raises:
            ConfigError: unknown format, or a window for a format without one.
            InputError: missing folders or files that cannot be used.
        """
        return open_dataset(self.format, self.root, self.split, window=self.window)


@dataclass(frozen=True, slots=True)
class NamedRow:
    """An entry of `rows:` of a recipe.

    Args:
        row: of `recipe.published`.
        line: of the file, where it says so.
    """

    node: str
    row: str
    line: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """A checked `pipeline.yaml`.

    Args:
        path: the file.
        nodes: in the order of the file, models first.
        stages: names, in order; `--stage 1` is the first.
        submission: node whose masks are submitted.
        submission_line: of the file, where it says so.
        nouns: how the noun of a sentence is found.
        rows: which nodes are rows of a paper's table.
        engines: their settings, by name.
        overrides: texts of `--set` that it was read with.
    """

    path: Path
    dataset: DatasetEntry
    workspace: Path
    groups: GroupSettings
    nodes: tuple[Node, ...]
    stages: tuple[str, ...]
    submission: str | None
    nouns: NounSettings = field(default_factory=NounSettings)
    submission_line: int = 0
    rows: tuple[NamedRow, ...] = ()
    engines: Mapping[str, EngineSettings] = field(default_factory=dict)
    overrides: tuple[str, ...] = ()

    @property
    def graph(self) -> NodeGraph:
        """How the nodes stand on each other."""
        return NodeGraph(self.nodes)

    def node(self, name: str) -> Node:
        """Return a node by its name; the caller knows that it is there."""
        return next(node for node in self.nodes if node.name == name)
