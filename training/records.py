"""What a training writes down: TensorBoard scalars and a curve as CSV."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from torch.utils.tensorboard import SummaryWriter


class Records:
    """Scalars of one training, in `folder/tensorboard` and `folder/curve.csv`.

    The CSV has one row a scalar (`step, name, value`), so that validation and losses share it. Rows after
    `step` are dropped when a training resumes there.
    """

    def __init__(self, folder: Path, *, step: int = 0) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / "curve.csv"
        rows = read_curve(self.path) if self.path.is_file() else []
        with self.path.open("w", newline="", encoding="utf-8") as stream:
            csv.writer(stream).writerows(
                [("step", "name", "value"), *((at, name, value) for at, name, value in rows if at <= step)]
            )
        self._writer = SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)

    def write(self, step: int, values: Mapping[str, float], *, group: str) -> None:
        """Add `values` under `group/name`."""
        with self.path.open("a", newline="", encoding="utf-8") as stream:
            for name, value in values.items():
                csv.writer(stream).writerow((step, f"{group}/{name}", f"{value:.6g}"))
                self._writer.add_scalar(f"{group}/{name}", value, step)

    def close(self) -> None:
        """Finish the TensorBoard file."""
        self._writer.close()


def read_curve(path: Path) -> list[tuple[int, str, float]]:
    """Return the rows (step, name, value) of a `curve.csv`."""
    with path.open(newline="", encoding="utf-8") as stream:
        return [(int(row["step"]), row["name"], float(row["value"])) for row in csv.DictReader(stream)]
