"""What a training writes down: a curve as CSV, and whatever loggers it has."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from rvos.outside_code import describe
from rvos_fusion.training.logs.loggers import Logger


class Records:
    """Scalars of one training in `folder/curve.csv` and in its loggers; pictures in the loggers alone.

    The CSV has a row a scalar (`step, name, value`); those after `step` are dropped when a training resumes there.
    """

    def __init__(self, folder: Path, *, step: int = 0, loggers: Sequence[Logger] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "curve.csv"
        rows = read_curve(self.path) if self.path.is_file() else []
        with self.path.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(
                [("step", "name", "value"), *((at, name, value) for at, name, value in rows if at <= step)]
            )
        self._loggers = list(loggers)

    def write(self, step: int, values: Mapping[str, float], *, group: str) -> None:
        """Add `values` under `group/name`."""
        named = {f"{group}/{name}": value for name, value in values.items()}
        with self.path.open("a", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows((step, name, f"{value:.6g}") for name, value in named.items())
        self._tell(lambda logger: logger.scalars(step, named))

    def show(self, step: int, pictures: Mapping[str, NDArray[np.uint8]]) -> None:
        """Hand pictures (H, W, 3) on."""
        self._tell(lambda logger: logger.pictures(step, pictures))

    def close(self) -> None:
        """Finish all loggers."""
        self._tell(lambda logger: logger.close())

    def _tell(self, say: Callable[[Logger], None]) -> None:
        """Tell all loggers; one that fails, as without its server, is left out: the training is worth more."""
        for logger in list(self._loggers):
            try:
                say(logger)
            except Exception as error:  # whatever a package that is not ours may raise
                reason = describe(error)
                tqdm.write(f"warning: {type(logger).__name__} is left out from here ({reason})", file=sys.stderr)
                self._loggers.remove(logger)


def read_curve(path: Path) -> list[tuple[int, str, float]]:
    """Return the rows (step, name, value) of a `curve.csv`."""
    with path.open(newline="", encoding="utf-8") as stream:
        return [(int(row["step"]), row["name"], float(row["value"])) for row in csv.DictReader(stream)]
