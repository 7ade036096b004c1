"""Which nodes of a graph go over a video together."""

from __future__ import annotations

from collections.abc import Sequence

from rvos_fusion.kinds.base import Node, WorkerKey

Step = tuple[Node, ...]
"""One node, or nodes that share what a worker loads, such as the propagations by one engine."""


def list_steps(nodes: Sequence[Node]) -> list[Step]:
    """Return the nodes in the order in which one process runs them, those that run together as one step.

    Nodes that share a load wait until nothing else can run, so that as many as possible go together.

    Args:
        nodes: in an order in which every node comes after its inputs.
    """
    waiting, steps = list(nodes), []
    while waiting:
        names = {node.name for node in waiting}
        ready = [node for node in waiting if not names.intersection(node.inputs())]
        # One at a time: each may make further nodes ready that join a shared step.
        single = [node for node in ready if _shared_key(node) is None][:1]
        step = tuple(single or [node for node in ready if _shared_key(node) == _shared_key(ready[0])])
        steps.append(step)
        waiting = [node for node in waiting if node not in step]
    return steps


def _shared_key(node: Node) -> WorkerKey | None:
    """Return what nodes have in common that run together; None for a node that runs alone."""
    key = node.worker_key()
    return key if key is not None and key.shares else None
