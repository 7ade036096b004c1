"""What can be swept: one row for each sort of node, for the command and the report."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from rvos.evaluation.resampling import show_limits
from rvos.formats import Dataset, find_format
from rvos_fusion.kinds.base import capability
from rvos_fusion.scores.clean_up_sweeping import Cleaner, sweep_clean_up
from rvos_fusion.scores.comparison import Labelled
from rvos_fusion.scores.curves import Curve, draw_chances, draw_votes, draw_windows
from rvos_fusion.scores.gating import Gate, read_answers, sweep_gate
from rvos_fusion.scores.refinement_sweeping import Refiner, sweep_refinement
from rvos_fusion.scores.sweep_plot import plot_curve, plot_grid
from rvos_fusion.scores.sweeping import find_ballot, sweep_node
from rvos_fusion.tables import PEOPLE, PROGRAMS, Column

SETTINGS: Mapping[str, tuple[float, ...]] = {
    "window": (5, 10, 15, 20),
    "tau": (0.6, 0.7, 0.8, 0.9),
    "islands": (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0),
    "holes": (0.0, 0.02, 0.1, 0.5),
}
"""What is tried where nothing is given."""
_SCORES = (Column("J", "j"), Column("F", "f"), Column("J&F", "j_and_f"))
_IOU = Column("mean IoU", "j_and_f", key="mean_iou")
_VOTES = (Column("threshold", "threshold"), *_SCORES, Column("members", "members", folds=True))
_CHANCES = (
    Column("threshold", "threshold", ".4f"),
    Column("N-acc", "n_accuracy", absent="-"),
    Column("T-acc", "t_accuracy", absent="-"),
    _SCORES[-1],
    Column("Final", "final", absent="-"),
)
_GRID = (
    Column("window", "window", forms=PROGRAMS),
    Column("window", lambda row: "coarse" if row.window is None else row.window, forms=PEOPLE),
    Column("tau", "tau", "g"),
    *_SCORES,
)
_SIZES = (
    Column("islands", "islands", "g"),
    Column("holes", "holes", "g"),
    *_SCORES,
    Column("gain", "gain", "+.2f"),
    Column("low", "low", forms=PROGRAMS),
    Column("high", "high", forms=PROGRAMS),
    Column("95 % interval", lambda row: show_limits(row.low, row.high), forms=PEOPLE),
)


@dataclass(frozen=True, slots=True)
class SweepKind:
    """One sort of node that can be swept.

    Args:
        name: with its article.
        settings: names of what is tried.
        find: returns a node as one of the sort; None where it is of another.
        sweep: data, node, settings by name and jobs -> a row for each setting.
        columns: of the rows.
        best: what the best row has most of.
        is_choice: whether a row is a setting that can be chosen.
        is_grid: whether its rows are those that were asked for, and so all of them are shown.
        draw: returns the rows as lines; None: they are not drawn.
        plot: writes the rows as a picture in place of the lines.
    """

    name: str
    settings: tuple[str, ...]
    find: Callable[[object], Any]
    sweep: Callable[[Labelled, Any, Mapping[str, Any], int], list[Any]]
    columns: tuple[Column, ...]
    best: Callable[[Any], float] = attrgetter("j_and_f")
    is_choice: Callable[[Any], bool] = lambda row: True
    is_grid: bool = False
    draw: Callable[[Any, Sequence[Any]], Curve] | None = None
    plot: Callable[[str, Sequence[Any], Path], None] | None = None

    def columns_for(self, dataset: Dataset) -> tuple[Column, ...]:
        """Return the columns for a data set: single frames have an IoU and neither J nor F."""
        if not find_format(dataset.format).has_samples:
            return self.columns
        return tuple(_IOU if one is _SCORES[-1] else one for one in self.columns if one not in _SCORES[:-1])

    def explain(self, dataset: Dataset, rows: Sequence[Any]) -> list[str]:
        """Return why figures are not there."""
        notes = []
        if find_format(dataset.format).has_samples:
            notes.append(f"{dataset.format} annotates single frames, which have no J and no F")
        if any(getattr(row, "final", row) is None for row in rows):
            kinds = (("with", rows[0].t_accuracy), ("without", rows[0].n_accuracy))
            lacking = " and ".join(f"none {kind} a target" for kind, value in kinds if value is None)
            notes.append(f"-: of the sentences, {lacking}, so there is no Final")
        return notes

    def thin(self, rows: Sequence[Any], best: object, most: int) -> Sequence[Any]:
        """Return about as many of the rows as can be read, the best one among them."""
        step = 1 if self.is_grid else max(1, len(rows) // most)
        return [row for place, row in enumerate(rows) if place % step == 0 or row is best]

    def draw_for(self, dataset: Dataset, node: Any, rows: Sequence[Any]) -> Curve:
        """Return the rows as lines, named as the data set's figures are."""
        assert self.draw is not None
        curve = self.draw(node, rows)
        return curve.of_single_frames() if find_format(dataset.format).has_samples else curve

    def write_plot(self, dataset: Dataset, node: Any, rows: Sequence[Any], out: Path) -> None:
        """Write the rows as a PNG; StoreError where it cannot be written."""
        if self.plot is not None:
            self.plot(node.name, rows, out)
        else:
            plot_curve(self.draw_for(dataset, node, rows), out)


SWEEP_KINDS = (
    SweepKind(
        "a refinement",
        ("window", "tau"),
        lambda node: capability(node, Refiner),
        lambda data, node, given, jobs: sweep_refinement(
            *data, node, windows=given["window"], taus=given["tau"], jobs=jobs
        ),
        _GRID,
        is_choice=lambda row: row.window is not None,
        is_grid=True,
        draw=draw_windows,
        plot=plot_grid,
    ),
    SweepKind(
        "a clean-up",
        ("islands", "holes"),
        lambda node: capability(node, Cleaner),
        lambda data, node, given, jobs: sweep_clean_up(
            *data, node, islands=given["islands"], holes=given["holes"], jobs=jobs
        ),
        _SIZES,
        is_grid=True,
    ),
    SweepKind(
        "a gate",
        (),
        lambda node: capability(node, Gate),
        lambda data, node, given, jobs: sweep_gate(read_answers(*data, node, jobs=jobs), node),
        _CHANCES,
        best=attrgetter("goal"),
        draw=draw_chances,
    ),
    SweepKind(
        "a fusion by votes",
        ("thresholds", "members"),
        find_ballot,
        lambda data, node, given, jobs: sweep_node(
            *data, node, thresholds=given.get("thresholds", ()), subsets=bool(given.get("members")), jobs=jobs
        ),
        _VOTES,
        draw=draw_votes,
    ),
)


def find_sweep(node: object) -> tuple[SweepKind, Any] | None:
    """Return how a node is swept, and the node as what that needs; None where there is nothing to sweep."""
    found = ((kind, kind.find(node)) for kind in SWEEP_KINDS)
    return next(((kind, own) for kind, own in found if own is not None), None)
