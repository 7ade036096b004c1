"""Readers of Ref-YouTube-VOS, Ref-DAVIS17 and MeViS, chosen by name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from rvos.datasets.dataset import Dataset
from rvos.errors import ConfigError

__all__ = ["FORMATS", "Dataset", "open_dataset"]

FORMATS = {
    "ref-youtube-vos": "rvos.datasets.ref_youtube_vos",
    "ref-davis17": "rvos.datasets.ref_davis17",
    "mevis": "rvos.datasets.mevis",
}


def open_dataset(format: str, root: Path, split: str) -> Dataset:
    """Return a split of a data set; images and masks are read only when asked for.

    Args:
        format: `ref-youtube-vos`, `ref-davis17` or `mevis`.
        root: folder of the data set, or an archive of its ground truth.
        split: `train`, `valid`, `test`, `valid_u`.

    Raises:
        ConfigError: unknown format.
        InputError: missing folders or files that cannot be used.
    """
    if format not in FORMATS:
        raise ConfigError(f"dataset format {format}: unknown; choose from {', '.join(FORMATS)}")
    dataset: Dataset = import_module(FORMATS[format]).open_split(Path(root), split)
    return dataset
