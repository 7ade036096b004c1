"""Data sets: how each is read, scored and submitted, chosen by name."""

from __future__ import annotations

from rvos.dataset import Dataset
from rvos.formats.base import Format, Licence
from rvos.formats.table import FORMATS, explain_assumed, find_format, open_dataset, open_evaluator, score_dataset

__all__ = [
    "FORMATS",
    "Dataset",
    "Format",
    "Licence",
    "explain_assumed",
    "find_format",
    "open_dataset",
    "open_evaluator",
    "score_dataset",
]
