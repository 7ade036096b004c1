"""The ladder and the sweeps of a report."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.plan import Plan
from pipeline.report.content import LadderRow, SweepPoint
from pipeline.scoring import score_nodes
from pipeline.sweeping import find_fusion, sweep_node
from pipeline.tables import choose_nodes, make_table
from rvos.datasets import Dataset
from rvos.store import Store
from rvos.videos import Video


def collect_ladder(plan: Plan, dataset: Dataset, videos: Sequence[Video], names: Sequence[str]) -> list[LadderRow]:
    """Return the rungs; without names all nodes that are finished.

    Raises:
        ConfigError: unknown names, or nothing is finished.
        InputError: masks that do not fit the ground truth.
    """
    store = Store(plan.recipe.workspace)
    nodes = choose_nodes(plan.recipe, store, names, [video.id for video in videos])
    rows = make_table(nodes, score_nodes(store, dataset, videos, nodes))
    return [LadderRow(row.node, row.j, row.f, row.j_and_f, row.gain, row.low, row.high) for row in rows]


def collect_sweep(plan: Plan, dataset: Dataset, videos: Sequence[Video]) -> list[SweepPoint]:
    """Return J&F over the number of votes needed, for every finished fusion by votes of equal weights."""
    store = Store(plan.recipe.workspace)
    points = []
    for node in plan.nodes:
        ballot = node.ballot()
        if ballot is None or set(ballot.rule.weights) != {1}:
            continue
        if not all(store.has(name, video.id) for name in ballot.members for video in videos):
            continue
        rows = sweep_node(store, dataset, videos, find_fusion(plan.recipe, node.name))
        points += [SweepPoint(node.name, votes, row.j_and_f) for votes, row in enumerate(rows, start=1)]
    return points
