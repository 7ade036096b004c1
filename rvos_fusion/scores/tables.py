"""Ablation tables: nodes in an order, each with the figures of its data set and the gains over the one before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import nan

import numpy as np
from numpy.typing import NDArray

from rvos.errors import StoreError
from rvos.evaluation.figures.base import Figure
from rvos.evaluation.resampling import find_limits
from rvos.evaluation.results import ExpressionScore
from rvos.settings import count
from rvos.videos import Video
from rvos_fusion.planning.gaps import list_gaps
from rvos_fusion.planning.results import Results

_FILLED = {"empty": "black stands for them", "abstain": "it abstains"}


@dataclass(frozen=True, slots=True)
class Coverage:
    """How far the rows of a table are.

    Args:
        command: makes what is missing.
        missing: number of videos that a row has no result for.
        left_out: the same of inputs that are no rows because they lack videos.
        videos: that all rows have which have any.
        n_videos: that there are.
        gaps: for imports, of how many sentences they lack masks, and what stands for them, in words.
    """

    command: str
    missing: Mapping[str, int]
    left_out: Mapping[str, int]
    videos: tuple[Video, ...]
    n_videos: int
    gaps: Mapping[str, str] = field(default_factory=dict)

    @property
    def scored(self) -> list[str]:
        """The rows that have figures."""
        return [node for node in self.missing if self.missing[node] < self.n_videos]

    def notes(self) -> list[str]:
        """Return what a table must say: which rows and inputs lack videos, and over which the figures are."""
        notes = [f"{node} has {self._count(lacking)}" for node, lacking in self.missing.items() if lacking]
        notes += [f"input {node} is left out: {self._count(lacking)}" for node, lacking in self.left_out.items()]
        if len(self.videos) < self.n_videos:
            notes.append(
                f"figures over the {len(self.videos)} of {count(self.n_videos, 'video')} that all rows with any have"
            )
        notes += [f"to make what is missing: {self.command}"] if notes else []
        return [*notes, *(f"{node} has no masks for {lacking}" for node, lacking in self.gaps.items())]

    def _count(self, lacking: int) -> str:
        return f"{self.n_videos - lacking} of {count(self.n_videos, 'video')}"


def find_coverage(results: Results, videos: Sequence[Video], rows: Sequence[str]) -> Coverage:
    """Return how far the rows of a table are, and the further inputs of the last one, which follow them.

    Raises a StoreError where no video is common to the rows that have any.
    """
    further = {node: results.find_missing(node) for node in results.find_inputs(rows)}
    missing = {node: results.find_missing(node) for node in rows}
    missing |= {node: lacking for node, lacking in further.items() if not lacking}
    counts = {node: len(lacking) for node, lacking in missing.items()}
    lacked = {video for own in missing.values() if len(own) < len(videos) for video in own}
    common = tuple(video for video in videos if video.id not in lacked)
    if not common:
        started = ", ".join(
            f"{node} {len(videos) - lacking}" for node, lacking in counts.items() if lacking < len(videos)
        )
        raise StoreError(
            f"{results.store.workspace}: no video has results of all nodes (of "
            f"{count(len(videos), 'video')}: {started}); "
            f"name nodes, or run first: {results.command}"
        )
    left_out = {node: len(lacking) for node, lacking in further.items() if lacking}
    n_sentences = count(sum(len(video.expressions) for video in videos), "expression")
    gaps = {
        name: f"{len(found)} of {n_sentences}, first {found[0]}: {_FILLED[fill]}"
        for (name, fill), found in list_gaps(results, rows).items()
    }
    return Coverage(results.command, counts, left_out, common, len(videos), gaps)


_RIGHT = 0.5


@dataclass(frozen=True, slots=True)
class Gain:
    """A difference in per cent and its 95 % interval by paired resampling, which fewer than five videos do not have."""

    gain: float
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class TableRow:
    """A node's figures in per cent.

    Args:
        figures: by name, those that its scores have.
        gains: over the row before, by name of the figure; none in the first row. In the row of an input that was added:
            what the last named node has above this one.
        input_of: the last named node, in the rows of its further inputs.
        missing: videos that the node has no result for: all figures of the table are then over those that all rows have
            which have any.
        settings: of a variant, by what differs from the recipe.
    """

    node: str
    figures: Mapping[str, float]
    gains: Mapping[str, Gain] = field(default_factory=dict)
    input_of: str | None = None
    missing: int = 0
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def j(self) -> float:
        """J; of single frames, which have no F, the IoU stands in for both. NaN without any result."""
        return self.figures.get("J", self.figures.get("mean IoU", nan))

    @property
    def f(self) -> float:
        """F."""
        return self.figures.get("F", self.j)

    @property
    def j_and_f(self) -> float:
        """(J + F) / 2."""
        return (self.j + self.f) / 2

    @property
    def targets(self) -> float | None:
        """J&F of the sentences that have a target; None where all have one."""
        return self.figures.get("J&F targets")

    @property
    def main_gain(self) -> Gain | None:
        """The gain of J&F, or of what stands in for it; None in the first row."""
        return self.gains.get("J&F", self.gains.get("mean IoU"))

    @property
    def gain(self) -> float | None:
        """Its size."""
        return None if self.main_gain is None else self.main_gain.gain

    @property
    def low(self) -> float | None:
        """Lower end of its 95 % interval; None of fewer than five videos."""
        return None if self.main_gain is None else self.main_gain.low

    @property
    def high(self) -> float | None:
        """Upper end of its 95 % interval; None of fewer than five videos."""
        return None if self.main_gain is None else self.main_gain.high


def make_table(
    figures: Sequence[Figure],
    nodes: Sequence[str],
    scores: Sequence[Sequence[ExpressionScore]],
    *,
    inputs: Sequence[str] = (),
    from_first: bool = False,
) -> list[TableRow]:
    """Return a row for each node, and one for each further input of the last of them.

    Args:
        figures: of the data set's protocol.
        scores: of the nodes, then of the inputs, all of the same units.
        inputs: of the last node, as far as they are no rows already: a table must not hide what did better alone.
        from_first: gains are over the first row, not over the one before.
    """
    measured = [[(figure.name, figure.measure(own)) for figure in figures] for own in scores]
    known = [{name: value for name, value in own if value is not None} for own in measured]
    drawn = {one.name: one.resample(scores) for one in figures if one.resample is not None and len(scores) > 1}
    n_videos = len({one.video for one in scores[0]})
    rows = []
    last = len(nodes) - 1
    for index, node in enumerate([*nodes, *inputs]):
        is_added = index > last
        better, worse = (last, index) if is_added else (index, 0 if from_first else index - 1)
        gains = {}
        for name in drawn if index else ():
            if not (name in known[better] and name in known[worse]):
                continue
            draws = drawn[name]
            low, high = find_limits(100 * (draws[better] - draws[worse]), n_videos)
            gains[name] = Gain(100 * (known[better][name] - known[worse][name]), low, high)
        own = {name: 100 * value for name, value in known[index].items()}
        rows.append(TableRow(node, own, gains, nodes[-1] if is_added else None))
    return rows


def make_covered_table(
    figures: Sequence[Figure],
    nodes: Sequence[str],
    scores: Sequence[Sequence[ExpressionScore]],
    coverage: Coverage,
) -> list[TableRow]:
    """Return the rows of `make_table`, each with what it lacks; a node without any result has a row without figures.

    `nodes` are the named ones, further rows of the coverage inputs of the last; scores are those of `coverage.scored`.
    """
    scored = coverage.scored
    named = [node for node in nodes if node in scored]
    made = {row.node: row for row in make_table(figures, named, scores, inputs=[n for n in scored if n not in named])}
    rows = [(node, made.get(node, TableRow(node, {}))) for node in coverage.missing]
    return [replace(row, missing=coverage.missing[node]) for node, row in rows]


def compare_pairs(scores: Sequence[Sequence[ExpressionScore]]) -> NDArray[np.float64]:
    """Return, for all pairs of nodes, the part of the expressions that exactly one of the two gets right.

    An expression counts as right from J&F 0.5 on. The result is `(nodes, nodes)` in [0, 1] with a zero diagonal;
    members that fail together have small values, and voting cannot mend what all of them get wrong.
    """
    is_right = np.array([[one.j_and_f >= _RIGHT for one in own] for own in scores])
    differs: NDArray[np.float64] = (is_right[:, None] != is_right[None]).mean(axis=2)
    return differs
