"""Members that abstain where they have no masks, and where masks of all sentences are needed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from rvos.imports.missing import Missing
from rvos_fusion.kinds.base import NodeGraph, capability


@runtime_checkable
class Lacking(Protocol):
    """A node that may have no masks for a sentence."""

    @property
    def missing(self) -> Missing:
        """What it does then."""
        ...


def list_abstaining(nodes: NodeGraph, names: Iterable[str]) -> list[str]:
    """Return those of some nodes that may abstain, as they are imports that do or stand on one."""
    return [name for name in names if any(_abstains(node) for node in nodes.below(name))]


def _abstains(node: object) -> bool:
    lacking = capability(node, Lacking)
    return lacking is not None and lacking.missing == "abstain"
