"""A recipe as a value: data set, workspace and the nodes of all stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from rvos.language.nouns import NounSettings
from rvos_fusion.kinds.base import Node, NodeGraph
from rvos_fusion.kinds.grouping import GroupSettings
from rvos_fusion.kinds.values import DatasetEntry


@dataclass(frozen=True, slots=True)
class Recipe:
    """A checked `pipeline.yaml`.

    Args:
        path: the file.
        nodes: in the order of the file, models first.
        stages: names, in order; `--stage 1` is the first.
        submission: node whose masks are submitted.
        nouns: how the noun of a sentence is found.
    """

    path: Path
    dataset: DatasetEntry
    workspace: Path
    groups: GroupSettings
    nodes: tuple[Node, ...]
    stages: tuple[str, ...]
    submission: str | None
    nouns: NounSettings = field(default_factory=NounSettings)

    @property
    def graph(self) -> NodeGraph:
        """How the nodes stand on each other."""
        return NodeGraph(self.nodes, self.path)

    def node(self, name: str) -> Node:
        """Return a node by its name; the caller knows that it is there."""
        return next(node for node in self.nodes if node.name == name)
