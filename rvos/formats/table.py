"""The formats by name: a new one is a module with a `FORMAT`, and a line here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from rvos.dataset import Dataset
from rvos.errors import ConfigError
from rvos.evaluation.evaluator import Evaluator
from rvos.evaluation.results import DatasetScore
from rvos.formats.base import Format

FORMATS = {
    "ref-youtube-vos": "rvos.formats.ref_youtube_vos",
    "ref-davis17": "rvos.formats.ref_davis17",
    "mevis": "rvos.formats.mevis",
    "a2d-sentences": "rvos.formats.a2d_sentences",
    "jhmdb-sentences": "rvos.formats.jhmdb_sentences",
}
"""Name -> module; loaded at first use."""


def find_format(name: str) -> Format:
    """Return a format. Raises ConfigError: unknown."""
    if name not in FORMATS:
        raise ConfigError(f"dataset format {name}: unknown; choose from {', '.join(FORMATS)}")
    return import_module(FORMATS[name]).FORMAT


def open_dataset(format: str, root: Path, split: str, *, window: int | None = None) -> Dataset:
    """Return a split of a data set; see `Format.open`.

    Raises:
        ConfigError: unknown format, or a window that it cannot have.
        InputError: missing folders or files that cannot be used.
    """
    return find_format(format).open(Path(root), split, window=window)


def open_evaluator(dataset: Dataset, *, task: str | None = None) -> Evaluator:
    """Return the evaluator of a data set; no task: the first. Raises ConfigError: the format has no such task."""
    return find_format(dataset.format).evaluator(dataset, task)


def score_dataset(dataset: Dataset, predictions: Path, *, task: str | None = None, jobs: int = 1) -> DatasetScore:
    """Return the scores of files of predictions; see `Evaluator.score` and `open_evaluator`."""
    return open_evaluator(dataset, task=task).score(predictions, jobs=jobs)
