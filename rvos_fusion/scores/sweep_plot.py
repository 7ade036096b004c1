"""Sweeps as pictures: one setting as lines, two as a heat map."""

from __future__ import annotations

import io
import re
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from rvos.files.atomic import write_atomically
from rvos_fusion.scores.curves import Curve, draw_sweep
from rvos_fusion.scores.trials import Sweep, find_goal

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_sweep(sweep: Sweep, out: Path) -> None:
    """Write a PNG of one setting's scores as lines, or of two as a heat map; StoreError where it cannot be written."""
    if len(sweep.keys) > 1:
        plot_grid(sweep, out)
    else:
        plot_curve(draw_sweep(sweep), out)


def plot_curve(curve: Curve, out: Path) -> None:
    """Write a PNG with the scores in per cent over the settings, the best of the first line marked."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.4), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    main = curve.series[0]
    labels = [label for label, _ in main.points]
    is_number = all(re.fullmatch(r"[0-9.]+", label) for label in labels)
    places = [float(label) for label in labels] if is_number else list(range(len(labels)))
    for one in curve.series:
        width = 2.5 if one is main else 1.2
        axes.plot(places, [value for _, value in one.points], marker=".", linewidth=width, label=one.name)
    place, best = max(zip(places, (value for _, value in main.points), strict=True), key=itemgetter(1))
    axes.annotate(f"{best:.1f}", (place, best), textcoords="offset points", xytext=(0, 8), ha="center")
    if not is_number:
        axes.set_xticks(places, labels)
    axes.set(title=f"{curve.node}: {curve.setting}", ylabel="%")
    axes.grid(alpha=0.3)
    axes.legend()
    _write(figure, out)


def plot_grid(sweep: Sweep, out: Path) -> None:
    """Write a PNG with the main figure in per cent of every pair of values as a heat map, the best one marked."""
    from matplotlib.figure import Figure

    first, second = sweep.keys[:2]
    rows = [row for row in sweep.tried if np.isfinite(find_goal(row))]
    downs, acrosses = (list(dict.fromkeys(row.settings[key] for row in rows)) for key in (first, second))
    cells = {(downs.index(row.settings[first]), acrosses.index(row.settings[second])): find_goal(row) for row in rows}
    grid = np.full((len(downs), len(acrosses)), np.nan)
    for place, value in cells.items():
        grid[place] = value
    best = max(cells, key=lambda cell: cells[cell])
    figure = Figure(figsize=(1.6 + 0.9 * len(acrosses), 1.4 + 0.5 * len(downs)), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow(grid, aspect="auto")
    middle = (min(cells.values()) + max(cells.values())) / 2
    for (y, x), value in cells.items():
        weight, colour = ("bold" if (y, x) == best else "normal"), ("black" if value > middle else "white")
        axes.text(x, y, f"{value:.1f}", ha="center", va="center", color=colour, fontweight=weight)
    axes.set_xticks(range(len(acrosses)), acrosses)
    axes.set_yticks(range(len(downs)), downs)
    before = "".join(f", {row.node} {find_goal(row):.1f}" for row in sweep.rows if not row.settings)
    axes.set(title=f"{sweep.scored}, %{before}", xlabel=second, ylabel=first)
    figure.colorbar(image)
    _write(figure, out)


def _write(figure: Figure, out: Path) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_atomically(out, picture.getvalue())
