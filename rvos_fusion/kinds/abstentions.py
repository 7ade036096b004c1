"""Members that abstain where they have no masks, and where masks of all sentences are needed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, Protocol, runtime_checkable

from rvos.imports.missing import Missing
from rvos_fusion.kinds.base import Node, NodeGraph, capability


@runtime_checkable
class Lacking(Protocol):
    """A node that may have no masks for a sentence."""

    @property
    def missing(self) -> Missing:
        """What it does then."""
        ...


def as_abstaining(node: Node) -> Node | None:
    """Return a node that refuses videos which it lacks masks of as one that abstains there; None: it refuses none."""
    lacking = capability(node, Lacking)
    settings: dict[str, Any] = {"missing": "abstain"}
    return replace(node, **settings) if lacking is not None and lacking.missing == "refuse" else None


def list_abstaining(nodes: NodeGraph, names: Iterable[str]) -> list[str]:
    """Return those of some nodes that may abstain, as they are imports that do or stand on one."""
    return [name for name in names if any(_abstains(node) for node in nodes.below(name))]


def _abstains(node: object) -> bool:
    lacking = capability(node, Lacking)
    return lacking is not None and lacking.missing == "abstain"
