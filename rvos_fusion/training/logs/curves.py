"""Pictures of training curves: `python -m rvos_fusion.training.logs.curves FOLDER ... --out PICTURE.png`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from rvos_fusion.training.logs.records import read_curve

_SMOOTHED = 5


def plot_curves(folders: Sequence[Path], out: Path) -> None:
    """Write a PNG with the loss and the validation score of each training against its wall time in minutes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 2.2 * len(folders)), dpi=70, layout="constrained")
    for row, folder in enumerate(folders):
        curve = read_curve(folder / "curve.csv")
        loss, score = figure.add_subplot(len(folders), 2, 2 * row + 1), figure.add_subplot(len(folders), 2, 2 * row + 2)
        minutes = {step: value / 60 for step, name, value in curve if name == "train/seconds"}
        steps, losses = _series(curve, "train/total")
        kernel = np.ones(_SMOOTHED) / _SMOOTHED
        if len(losses) >= _SMOOTHED:
            loss.plot([minutes[step] for step in steps[_SMOOTHED - 1 :]], np.convolve(losses, kernel, "valid"))
        loss.set(title=f"{folder.name}: loss", xlabel="minutes")
        name = _find_score(curve)
        steps, scores = _series(curve, f"validation/{name}")
        score.plot(np.interp(steps, list(minutes), list(minutes.values())), scores, marker="o", markersize=3)
        score.set(title=f"{folder.name}: validation {name}", xlabel="minutes")
        for axes in (loss, score):
            axes.grid(alpha=0.3)
    figure.savefig(out)


def _find_score(curve: Sequence[tuple[int, str, float]]) -> str:
    """Return the validation score to draw: J&F, else the first of another name."""
    names = [name.removeprefix("validation/") for _, name, _ in curve if name.startswith("validation/")]
    return "J&F" if "J&F" in names or not names else names[0]


def _series(curve: Sequence[tuple[int, str, float]], name: str) -> tuple[list[int], list[float]]:
    rows = [(step, value) for step, found, value in curve if found == name]
    return [step for step, _ in rows], [value for _, value in rows]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--out", required=True, type=Path)
    options = parser.parse_args()
    plot_curves(options.folders, options.out)
