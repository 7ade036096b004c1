"""Readers of Ref-YouTube-VOS, Ref-DAVIS17, MeViS, A2D-Sentences and JHMDB-Sentences, chosen by name."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from rvos.errors import ConfigError
from rvos.formats.dataset import Dataset
from rvos.formats.samples import SAMPLE_FORMATS

__all__ = ["FORMATS", "Dataset", "open_dataset"]

FORMATS = {
    "ref-youtube-vos": "rvos.formats.ref_youtube_vos",
    "ref-davis17": "rvos.formats.ref_davis17",
    "mevis": "rvos.formats.mevis",
    "a2d-sentences": "rvos.formats.a2d_sentences",
    "jhmdb-sentences": "rvos.formats.jhmdb_sentences",
}


def open_dataset(format: str, root: Path, split: str, *, window: int | None = None) -> Dataset:
    """Return a split of a data set; images and masks are read only when asked for.

    Args:
        format: `ref-youtube-vos`, `ref-davis17`, `mevis`, `a2d-sentences` or `jhmdb-sentences`.
        root: folder of the data set, or an archive of its ground truth.
        split: `train`, `valid`, `test`, `valid_u`.
        window: frames around the annotated one, for A2D-Sentences and JHMDB-Sentences; None: 5.

    Raises:
        ConfigError: unknown format, or a window for a format without one.
        InputError: missing folders or files that cannot be used.
    """
    if format not in FORMATS:
        raise ConfigError(f"dataset format {format}: unknown; choose from {', '.join(FORMATS)}")
    reader = import_module(FORMATS[format])
    if format in SAMPLE_FORMATS:
        samples: Dataset = reader.open_split(Path(root), split, window=window)
        return samples
    if window is not None:
        raise ConfigError(f"dataset format {format}: annotates whole videos, so window says nothing; leave it out")
    dataset: Dataset = reader.open_split(Path(root), split)
    return dataset
