"""The ladder of a report, and its sweeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from fusion.thresholds import Threshold
from rvos.errors import PipelineError
from rvos.evaluation.results import ExpressionScore
from rvos.formats import Dataset, open_evaluator
from rvos.videos import Video
from rvos_fusion.kinds.base import Node, capability
from rvos_fusion.kinds.trials import Swept
from rvos_fusion.planning.results import Results
from rvos_fusion.report.content import Ladder, LadderRow, VoteScores
from rvos_fusion.scores.curves import Curve, draw_sweep
from rvos_fusion.scores.scoring import score_nodes
from rvos_fusion.scores.sweeping import Ballot, find_ballot
from rvos_fusion.scores.tables import Coverage, TableRow, find_coverage, make_covered_table
from rvos_fusion.scores.trials import Sweep, sweep_node

Known = Mapping[str, Mapping[str, Sequence[ExpressionScore]]]
"""Scores of every expression by video and node."""


def collect_ladder(
    results: Results, dataset: Dataset, videos: Sequence[Video], names: Sequence[str], *, known: Known, jobs: int = 1
) -> tuple[list[TableRow], Coverage]:
    """Return the rungs, without names of all nodes that have a result, and how far all nodes are.

    Further inputs of the last one come at the end. Figures are over the videos that all rungs have.

    Args:
        known: what was scored already, expression by expression.

    Raises:
        ConfigError: unknown names, or nothing is finished.
        InputError: masks that do not fit the ground truth.
        StoreError: a named node lacks results of these settings.
    """
    nodes = results.choose_nodes(names)
    coverage = find_coverage(results, videos, nodes)
    wanted, videos = coverage.scored, coverage.videos
    evaluator = open_evaluator(dataset)
    # Where the protocol scores expression by expression, that was done while the videos were collected.
    if evaluator.scores_alone and all(name in known.get(video.id, {}) for video in videos for name in wanted):
        scores = [[one for video in videos for one in known[video.id][name]] for name in wanted]
    else:
        scores = score_nodes(results, dataset, videos, wanted, jobs=jobs)
    rows = make_covered_table(evaluator.figures, nodes, scores, coverage)
    return [row for row in rows if row.figures], coverage


def make_ladder(title: str, dataset: Dataset, rows: Sequence[TableRow], *, prefix: str = "") -> Ladder:
    """Return rungs with the figures that tables show of the data set; `prefix` stands before the names of the nodes."""
    figures = [one for one in open_evaluator(dataset).figures if any(one.name in row.figures for row in rows)]
    return Ladder(
        title,
        tuple(
            LadderRow(
                prefix + row.node,
                tuple((one.heading, row.figures.get(one.name)) for one in figures),
                row.gain,
                row.low,
                row.high,
                row.input_of,
            )
            for row in rows
        ),
    )


@dataclass(slots=True)
class Sweeps:
    """What other settings would give.

    Args:
        curves: of every node that could be swept.
        notes: what is to be said of them, and of those that could not.
        votes: by video and node, J&F of every expression at the points of the curve.
    """

    curves: list[Curve] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    votes: dict[str, dict[str, VoteScores]] = field(default_factory=dict)

    def add(self, found: Sweeps, prefix: str) -> None:
        """Take over another side's, whose names then start with the prefix."""
        self.curves += [replace(curve, node=prefix + curve.node) for curve in found.curves]
        self.notes += found.notes
        for video, own in found.votes.items():
            self.votes.setdefault(video, {}).update({prefix + node: scores for node, scores in own.items()})


def collect_sweeps(results: Results, dataset: Dataset, videos: Sequence[Video], *, jobs: int = 1) -> Sweeps:
    """Sweep every node that can be, whose inputs are finished, and which loads no network.

    A sweep that cannot be made is named in the notes, and does not end the others.
    """
    sweeps = Sweeps()
    for node in results.plan.nodes:
        swept = capability(node, Swept)
        if swept is None or not swept.cheap or node.worker_key() is not None:
            continue
        if any(results.find_missing(name) for name in node.inputs()):
            continue
        ballot = find_ballot(node)
        try:
            given = None if ballot is None else {"threshold": _list_shares(results, node, ballot)}
            found = sweep_node((results, dataset, videos), node, given=given, jobs=jobs)
            sweeps.curves.append(draw_sweep(found))
        except PipelineError as error:
            sweeps.notes.append(f"No sweep of {node.name}: {error}.")
            continue
        if ballot is not None and open_evaluator(dataset).scores_alone:
            for video, scores in _share_sentences(dataset, videos, found):
                sweeps.votes.setdefault(video.id, {})[node.name] = scores
    return sweeps


def _list_shares(results: Results, node: Node, ballot: Ballot) -> Sequence[str]:
    """Return the thresholds of a vote as parts of the votes, which the page counts in, whatever the recipe says."""
    rule = ballot.rule
    if rule.threshold.kind == "count":
        rule = rule.with_threshold(Threshold.parse("1 of 1"))
    given = [ballot.given_groups(video) for video in results.plan.videos]
    return rule.list_values({len(group.expressions) for own in given for group in own or ()} or {1, 2})


def _share_sentences(dataset: Dataset, videos: Sequence[Video], sweep: Sweep) -> Iterator[tuple[Video, VoteScores]]:
    """Yield every video with the scores of its expressions by setting."""
    each = iter(zip(*sweep.units, strict=True))
    for video in videos:
        known = {one.id: tuple(round(value, 2) for value in next(each)) for one in dataset.scored(video).expressions}
        yield video, tuple(known.get(one.id) for one in video.expressions)
