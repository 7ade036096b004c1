"""What other settings of a node would score, as lines over them: for the report and for pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from operator import attrgetter

import numpy as np

from rvos_fusion.scores.gating import Gate, GateRow
from rvos_fusion.scores.refinement_sweeping import RefinementRow, Refiner
from rvos_fusion.scores.sweeping import Ballot, SweepRow

_MOST_POINTS = 60


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a curve: labels of what was set, and the scores in per cent."""

    name: str
    points: tuple[tuple[str, float], ...]


@dataclass(frozen=True, slots=True)
class Curve:
    """What other settings of a node would score; `setting` says in words what is swept, `used` the recipe's own."""

    node: str
    setting: str
    series: tuple[Series, ...]
    used: str = ""

    def of_single_frames(self) -> Curve:
        """Return the curve of data without J and F: their lines are the IoU once more."""
        kept = (one for one in self.series if one.name not in ("J", "F"))
        series = tuple(replace(one, name=one.name.replace("J&F", "mean IoU")) for one in kept)
        return replace(self, setting=self.setting.replace("J&F", "mean IoU"), series=series)


def draw_votes(ballot: Ballot, rows: Sequence[SweepRow]) -> Curve:
    """Return J&F, J and F over the thresholds."""
    series = [
        Series(name, tuple((row.threshold, getattr(row, key)) for row in rows))
        for name, key in (("J&F", "j_and_f"), ("J", "j"), ("F", "f"))
    ]
    return Curve(ballot.name, "votes needed", tuple(series), f"threshold {ballot.rule.threshold}")


def draw_windows(refiner: Refiner, rows: Sequence[RefinementRow]) -> Curve:
    """Return J&F over the thresholds, a line for every window, and that of the coarse masks."""
    coarse, *grid = rows
    lines = [
        Series(f"window {window}", tuple((f"{row.tau:g}", row.j_and_f) for row in own))
        for window, own in groupby(grid, key=attrgetter("window"))
    ]
    taus = [name for name, _ in lines[0].points]
    lines.append(Series("coarse", tuple((tau, coarse.j_and_f) for tau in taus)))
    used = f"window {refiner.rules.window}, tau {refiner.rules.tau:g}"
    return Curve(refiner.name, "J&F over tau", tuple(lines), used)


def draw_chances(gate: Gate, rows: Sequence[GateRow]) -> Curve:
    """Return Final, N-accuracy, T-accuracy and J&F over the thresholds, the best Final among them."""
    best = max(range(len(rows)), key=lambda place: rows[place].goal)
    # One threshold for every sentence: more than can be drawn apart.
    places = sorted({best, *(round(place) for place in np.linspace(0, len(rows) - 1, _MOST_POINTS))})
    names = (("Final", "final"), ("N-acc", "n_accuracy"), ("T-acc", "t_accuracy"), ("J&F", "j_and_f"))
    series = [
        Series(name, tuple((f"{rows[place].threshold:.3f}", getattr(rows[place], key)) for place in places))
        for name, key in names
        if getattr(rows[0], key) is not None
    ]
    return Curve(gate.name, "chance of a target that keeps an answer", tuple(series))
