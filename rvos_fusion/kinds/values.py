"""The data set of a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from rvos.formats import Dataset, open_dataset
from rvos.settings import Size


@dataclass(frozen=True, slots=True)
class DatasetEntry:
    """`dataset:` of a recipe.

    Args:
        window: frames around the annotated one, for A2D-Sentences and JHMDB-Sentences; None: 5.
    """

    format: str
    root: Path
    split: str
    window: Size | None = None

    def open(self) -> Dataset:
        """Return the split.

        Raises:
            ConfigError: unknown format, or a window for a format without one.
            InputError: missing folders or files that cannot be used.
        """
        return open_dataset(self.format, self.root, self.split, window=self.window)
