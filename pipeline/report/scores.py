"""The ladder and the sweeps of a report."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.report.content import LadderRow, SweepPoint
from pipeline.results import Results
from pipeline.scoring import score_nodes
from pipeline.sweeping import sweep_node
from pipeline.tables import make_table
from rvos.datasets import Dataset
from rvos.videos import Video


def collect_ladder(
    results: Results, dataset: Dataset, videos: Sequence[Video], names: Sequence[str]
) -> list[LadderRow]:
    """Return the rungs; without names all nodes that are finished. Further inputs of the last one come at the end.

    Raises:
        ConfigError: unknown names, or nothing is finished.
        InputError: masks that do not fit the ground truth.
        StoreError: a named node lacks results of these settings.
    """
    nodes = results.choose_nodes(names)
    inputs = results.find_inputs(nodes)
    rows = make_table(nodes, score_nodes(results, dataset, videos, [*nodes, *inputs]), inputs=inputs)
    return [LadderRow(row.node, row.j, row.f, row.j_and_f, row.gain, row.low, row.high, row.input_of) for row in rows]


def collect_sweep(results: Results, dataset: Dataset, videos: Sequence[Video]) -> list[SweepPoint]:
    """Return J&F over the number of votes needed, for every finished fusion by votes of equal weights."""
    points = []
    for node in results.plan.nodes:
        ballot = node.ballot()
        if ballot is None or set(ballot.rule.weights) != {1}:
            continue
        if any(results.find_missing(name) for name in ballot.members):
            continue
        rows = sweep_node(results, dataset, videos, ballot)
        points += [SweepPoint(node.name, votes, row.j_and_f) for votes, row in enumerate(rows, start=1)]
    return points
