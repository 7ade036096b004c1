"""Sweeps as pictures: thresholds as lines, windows and thresholds of a refinement as a heat map."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rvos.files.atomic import write_atomically
from rvos_fusion.scores.gating import GateRow
from rvos_fusion.scores.refinement_sweeping import RefinementRow
from rvos_fusion.scores.sweeping import SweepRow

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def plot_sweep(node: str, rows: Sequence[SweepRow], out: Path) -> None:
    """Write a PNG with J, F and J&F in per cent over the thresholds, the best J&F marked.

    Raises:
        StoreError: it cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.4), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    places = range(len(rows))
    for name, values in (
        ("J", [row.j for row in rows]),
        ("F", [row.f for row in rows]),
        ("J&F", [row.j_and_f for row in rows]),
    ):
        axes.plot(places, values, marker="o", markersize=4, linewidth=2.5 if name == "J&F" else 1.2, label=name)
    best = max(places, key=lambda place: rows[place].j_and_f)
    axes.annotate(
        f"{rows[best].j_and_f:.1f}",
        (best, rows[best].j_and_f),
        textcoords="offset points",
        xytext=(0, 8),
        ha="center",
    )
    axes.set_xticks(list(places), [row.threshold for row in rows])
    axes.set(title=f"{node}: votes needed", ylabel="%")
    axes.grid(alpha=0.3)
    axes.legend()
    _write(figure, out)


def plot_gate(node: str, rows: Sequence[GateRow], out: Path) -> None:
    """Write a PNG with N-accuracy, T-accuracy, J&F and Final in per cent over the thresholds, the best Final marked.

    Raises:
        StoreError: it cannot be written.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6, 3.4), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    thresholds = [row.threshold for row in rows]
    for name, values in (
        ("N-acc", [row.n_accuracy for row in rows]),
        ("T-acc", [row.t_accuracy for row in rows]),
        ("J&F", [row.j_and_f for row in rows]),
        ("Final", [row.final for row in rows]),
    ):
        axes.plot(thresholds, values, linewidth=2.5 if name == "Final" else 1.2, label=name)
    best = max(rows, key=lambda row: row.final)
    axes.annotate(
        f"{best.final:.1f}", (best.threshold, best.final), textcoords="offset points", xytext=(0, 8), ha="center"
    )
    axes.set(title=f"{node}: chance of a target that keeps an answer", ylabel="%")
    axes.grid(alpha=0.3)
    axes.legend()
    _write(figure, out)


def plot_grid(node: str, rows: Sequence[RefinementRow], out: Path) -> None:
    """Write a PNG with J&F in per cent of every window and threshold as a heat map, the best one marked.

    Args:
        rows: the coarse masks first, then the grid.

    Raises:
        StoreError: it cannot be written.
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
