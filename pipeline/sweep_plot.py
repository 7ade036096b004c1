"""Threshold sweeps as pictures."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from pipeline.gating import GateRow
from pipeline.sweeping import SweepRow
from rvos.files import write_atomically


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
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_atomically(out, picture.getvalue())


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
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    write_atomically(out, picture.getvalue())
