"""What other settings of a node would score, as lines over them: for the report and for pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rvos_fusion.scores.tables import TableRow
from rvos_fusion.scores.trials import GOALS, Sweep

_LINES = ("Final", "N-acc", "T-acc", "J&F", "J", "F", "mean IoU", "overall IoU", "mAP", "mAP of one mask")


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


def draw_sweep(sweep: Sweep) -> Curve:
    """Return the figures over one setting, or the main figure over the second of two, a line for each of the first."""
    used = ", ".join(f"{key} {value}" for key, value in sweep.own.settings.items())
    goal = next(name for name in GOALS if name in sweep.own.figures)
    if len(sweep.keys) == 1:
        key = sweep.keys[0]
        names = [name for name in (goal, *_LINES) if name in sweep.own.figures]
        series = [Series(name, _list_points(sweep.tried, key, name)) for name in dict.fromkeys(names)]
        return Curve(sweep.node, key, tuple(series), used)
    first, second = sweep.keys[:2]
    values = dict.fromkeys(row.settings[first] for row in sweep.tried)
    series = [
        Series(
            f"{first} {value}", _list_points([row for row in sweep.tried if row.settings[first] == value], second, goal)
        )
        for value in values
    ]
    places = [label for label, _ in max(series, key=lambda one: len(one.points)).points]
    series += [
        Series(row.node, tuple((label, row.figures[goal]) for label in places))
        for row in sweep.rows
        if not row.settings
    ]
    return Curve(sweep.node, f"{goal} over {second}", tuple(series), used)


def _list_points(rows: Sequence[TableRow], key: str, name: str) -> tuple[tuple[str, float], ...]:
    return tuple((row.settings[key], row.figures[name]) for row in rows)
