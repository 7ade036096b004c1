"""The ladder of a report, and the curve of every sweep."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

import numpy as np

from rvos.errors import PipelineError
from rvos.evaluation.results import ExpressionScore
from rvos.formats import Dataset, open_evaluator
from rvos.videos import Video
from rvos_fusion.kinds.base import Node, capability
from rvos_fusion.planning.results import Results
from rvos_fusion.report.content import Curve, Ladder, LadderRow, Series
from rvos_fusion.scores.gating import Gate, read_answers, sweep_gate
from rvos_fusion.scores.refinement_sweeping import Refiner, sweep_refinement
from rvos_fusion.scores.scoring import score_nodes
from rvos_fusion.scores.sweeping import Ballot, find_ballot, sweep_node
from rvos_fusion.scores.tables import TableRow, make_table

WINDOWS = (5, 10, 15, 20)
TAUS = (0.6, 0.7, 0.8, 0.9)
_MOST_POINTS = 60

Known = Mapping[str, Mapping[str, Sequence[ExpressionScore]]]
"""Scores of every expression by video and node."""


def collect_ladder(
    results: Results, dataset: Dataset, videos: Sequence[Video], names: Sequence[str], *, known: Known, jobs: int = 1
) -> list[TableRow]:
    """Return the rungs; without names all nodes that are finished. Further inputs of the last one come at the end.

    Args:
        known: what was scored already, expression by expression.

    Raises:
        ConfigError: unknown names, or nothing is finished.
        InputError: masks that do not fit the ground truth.
        StoreError: a named node lacks results of these settings.
    """
    nodes = results.choose_nodes(names)
    inputs = results.find_inputs(nodes)
    wanted = [*nodes, *inputs]
    evaluator = open_evaluator(dataset)
    # Where the protocol scores expression by expression, that was done while the videos were collected.
    if evaluator.scores_alone and all(name in known.get(video.id, {}) for video in videos for name in wanted):
        scores = [[one for video in videos for one in known[video.id][name]] for name in wanted]
    else:
        scores = score_nodes(results, dataset, videos, wanted, jobs=jobs)
    return make_table(evaluator.figures, nodes, scores, inputs=inputs)


def make_ladder(title: str, dataset: Dataset, rows: Sequence[TableRow], *, prefix: str = "") -> Ladder:
    """Return rungs with the figures that tables show of the data set.

    Args:
        prefix: before the names of the nodes.
    """
    figures = [one for one in open_evaluator(dataset).figures if any(one.name in row.figures for row in rows)]
    return Ladder(
        title,
        tuple(
            LadderRow(
                prefix + row.node,
                tuple((one.heading, row.figures[one.name]) for one in figures),
                row.gain,
                row.low,
                row.high,
                row.input_of,
            )
            for row in rows
        ),
    )


def collect_curves(
    results: Results, dataset: Dataset, videos: Sequence[Video], *, jobs: int = 1
) -> tuple[list[Curve], list[str]]:
    """Return the curve of every finished node that can be swept: fusions by votes, refinements and gates.

    A sweep that cannot be made is named in the second list, and does not end the others.
    """
    curves, notes = [], []
    for node in results.plan.nodes:
        if any(results.find_missing(name) for name in node.inputs()) or (sweep := _find_sweep(node)) is None:
            continue
        try:
            curves.append(sweep(results, dataset, videos, jobs))
        except PipelineError as error:
            notes.append(f"No sweep of {node.name}: {error}.")
    return curves, notes


_Sweep = Callable[[Results, Dataset, Sequence[Video], int], Curve]


def _find_sweep(node: Node) -> _Sweep | None:
    """Return how a node is swept; None where there is nothing to sweep."""
    ballot, refiner, gate = find_ballot(node), capability(node, Refiner), capability(node, Gate)
    if ballot is not None:
        return lambda results, dataset, videos, jobs: _sweep_votes(results, dataset, videos, ballot, jobs)
    if refiner is not None:
        return lambda results, dataset, videos, jobs: _sweep_windows(results, dataset, videos, refiner, jobs)
    if gate is not None:
        return lambda results, dataset, videos, jobs: _sweep_chances(results, dataset, videos, gate)
    return None


def _sweep_votes(results: Results, dataset: Dataset, videos: Sequence[Video], ballot: Ballot, jobs: int) -> Curve:
    rows = sweep_node(results, dataset, videos, ballot, jobs=jobs)
    series = (
        Series("J&F", tuple((row.threshold, row.j_and_f) for row in rows)),
        Series("J", tuple((row.threshold, row.j) for row in rows)),
        Series("F", tuple((row.threshold, row.f) for row in rows)),
    )
    return Curve(ballot.name, "votes needed", series, f"threshold {ballot.rule.threshold}")


def _sweep_windows(results: Results, dataset: Dataset, videos: Sequence[Video], refiner: Refiner, jobs: int) -> Curve:
    coarse, *grid = sweep_refinement(results, dataset, videos, refiner, windows=WINDOWS, taus=TAUS, jobs=jobs)
    lines = [
        Series(f"window {window}", tuple((f"{row.tau:g}", row.j_and_f) for row in rows))
        for window, rows in groupby(grid, key=lambda row: row.window)
    ]
    lines.append(Series("coarse", tuple((f"{tau:g}", coarse.j_and_f) for tau in TAUS)))
    used = f"window {refiner.rules.window}, tau {refiner.rules.tau:g}"
    return Curve(refiner.name, "J&F over tau", tuple(lines), used)


def _sweep_chances(results: Results, dataset: Dataset, videos: Sequence[Video], gate: Gate) -> Curve:
    rows = sweep_gate(read_answers(results, dataset, videos, gate), gate)
    # One threshold for every sentence: more than can be drawn apart.
    rows = [rows[place] for place in sorted({round(p) for p in np.linspace(0, len(rows) - 1, _MOST_POINTS)})]
    series = (
        Series("Final", tuple((f"{row.threshold:.3f}", row.final) for row in rows)),
        Series("N-acc", tuple((f"{row.threshold:.3f}", row.n_accuracy) for row in rows)),
        Series("T-acc", tuple((f"{row.threshold:.3f}", row.t_accuracy) for row in rows)),
        Series("J&F", tuple((f"{row.threshold:.3f}", row.j_and_f) for row in rows)),
    )
    return Curve(gate.name, "chance of a target that keeps an answer", series)
