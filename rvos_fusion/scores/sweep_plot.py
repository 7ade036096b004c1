"""Sweeps as pictures: thresholds as lines, windows and thresholds of a refinement as a heat map."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING

from rvos.files.atomic import write_atomically
from rvos_fusion.scores.curves import Curve
from rvos_fusion.scores.refinement_sweeping import RefinementRow

if TYPE_CHECKING:
    from matplotlib.figure import Figure


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


def plot_grid(node: str, rows: Sequence[RefinementRow], out: Path) -> None:
    """Write a PNG with J&F in per cent of every window and threshold as a heat map, the best one marked.

    `rows` are the coarse masks first, then the grid.
    """
    from matplotlib.figure import Figure

    coarse, *grid = rows
    windows, taus = (list(dict.fromkeys(values)) for values in ((r.window for r in grid), (r.tau for r in grid)))
    cells = {(windows.index(row.window), taus.index(row.tau)): row.j_and_f for row in grid}
    best = max(cells, key=lambda cell: cells[cell])
    figure = Figure(figsize=(1.6 + 0.9 * len(taus), 1.4 + 0.5 * len(windows)), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    image = axes.imshow([[cells[y, x] for x in range(len(taus))] for y in range(len(windows))], aspect="auto")
    middle = (min(cells.values()) + max(cells.values())) / 2
    for (y, x), value in cells.items():
        weight, colour = ("bold" if (y, x) == best else "normal"), ("black" if value > middle else "white")
        axes.text(x, y, f"{value:.1f}", ha="center", va="center", color=colour, fontweight=weight)
    axes.set_xticks(range(len(taus)), [f"{tau:g}" for tau in taus])
    axes.set_yticks(range(len(windows)), [str(window) for window in windows])
    axes.set(title=f"{node}: J&F in %, coarse {coarse.j_and_f:.1f}", xlabel="tau", ylabel="window")
    figure.colorbar(image)
    _write(figure, out)


def _write(figure: Figure, out: Path) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_atomically(out, picture.getvalue())
