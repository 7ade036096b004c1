"""What the scores of nodes are measured on: those of one scale can be compared."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from rvos_fusion.kinds.base import NodeGraph, capability


@runtime_checkable
class PassesScores(Protocol):
    """A node whose scores are those of another one."""

    def passes_scores_of(self) -> str | None:
        """Return that other one; None: it has scores of its own."""


@runtime_checkable
class Scored(Protocol):
    """A node that says what its scores are measured on; those of others are of their own scale."""

    def score_scale(self) -> str | None:
        """Return the scale in words; None: it has no scores."""


def find_score_scale(nodes: NodeGraph, name: str) -> str | None:
    """Return what the scores of a node are measured on; None: it has none."""
    passes, scored = capability(nodes[name], PassesScores), capability(nodes[name], Scored)
    source = None if passes is None else passes.passes_scores_of()
    if source is not None:
        return find_score_scale(nodes, source)
    return f"the scores of {name}" if scored is None else scored.score_scale()
