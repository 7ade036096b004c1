"""The formats by name: a new one is a module with a `FORMAT`, and a line here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from rvos.dataset import Dataset
from rvos.errors import ConfigError, InputError
from rvos.evaluation.evaluator import Evaluator
from rvos.evaluation.results import DatasetScore
from rvos.files.trees import open_data
from rvos.formats.base import Format

FORMATS = {
    "ref-youtube-vos": "rvos.formats.ref_youtube_vos",
    "ref-davis17": "rvos.formats.ref_davis17",
    "mevis": "rvos.formats.mevis",
    "revos": "rvos.formats.revos",
    "reason-vos": "rvos.formats.reason_vos",
    "long-rvos": "rvos.formats.long_rvos",
    "a2d-sentences": "rvos.formats.a2d_sentences",
    "jhmdb-sentences": "rvos.formats.jhmdb_sentences",
    "mosev2": "rvos.formats.mosev2",
    "custom": "rvos.formats.custom",
}
"""Name -> module; loaded at first use."""


def find_format(name: str) -> Format:
    """Return a format. Raises ConfigError: unknown."""
    if name not in FORMATS:
        raise ConfigError(f"dataset format {name}: unknown; choose from {', '.join(FORMATS)}")
    return import_module(FORMATS[name]).FORMAT


def open_dataset(format: str, root: Path, split: str | None = None, *, window: int | None = None) -> Dataset:
    """Return a split of a data set; images and masks are read only when asked for.

    Args:
        split: None: the format's own.
        window: frames around an annotated one; None: the format's own number.

    Raises:
        ConfigError: unknown format, a window of no frames, or for a format of whole videos.
        InputError: missing folders or files that cannot be used, or data that bear the mark of another format.
    """
    form, root = find_format(format), Path(root)
    split = split or form.default_split
    _refuse(_find_marked(form, root, split), form, root)
    try:
        dataset = form.open(root, split, window=window)
    except InputError:
        if form.has_samples:  # formats of whole videos have layouts in common, so that their own words tell more
            _refuse(_find_marked(form, root, split, shared=True), form, root)
        raise
    _refuse(form.find_other(dataset), form, root)
    return dataset


def _refuse(other: tuple[str, str] | None, form: Format, root: Path) -> None:
    if other is not None:
        name, mark = other
        raise InputError(f"{root}: looks like {name}, not {form.name} ({mark}); write format: {name}")


def explain_assumed(dataset: Dataset) -> str | None:
    """Return what speaks for another format, where nothing decides and the one that was named is assumed."""
    doubt = find_format(dataset.format).find_doubt(dataset)
    return doubt and f"{dataset.root}: taken for {dataset.format}, as nothing tells it from another format: {doubt}"


def _find_marked(form: Format, root: Path, split: str, *, shared: bool = False) -> tuple[str, str] | None:
    """Return another format that has more marks of the data, among them all of their own, and the first further one."""
    if not root.exists():
        return None
    known = {one: _list_marks(find_format(one), split, shared=shared) for one in FORMATS}
    own = _list_marks(form, split, shared=shared)
    parts = {mark.partition("/")[0] for marks in (own, *known.values()) for mark in marks}
    tree = open_data(root, known=frozenset(parts))
    borne = {name: [mark for mark in marks if tree.exists(mark)] for name, marks in known.items()}
    mine = {mark for mark in own if tree.exists(mark)}
    best = max(borne, key=lambda name: len(borne[name]))
    if not mine < set(borne[best]):
        return None
    return best, f"it has {next(mark for mark in borne[best] if mark not in mine)}"


def _list_marks(form: Format, split: str, *, shared: bool) -> list[str]:
    return [mark.format(split=split) for mark in (*form.marks, *(form.shared_marks if shared else ()))]


def open_evaluator(dataset: Dataset, *, task: str | None = None) -> Evaluator:
    """Return the evaluator of a data set; no task: the first. Raises ConfigError: the format has no such task."""
    return find_format(dataset.format).evaluator(dataset, task)


def score_dataset(dataset: Dataset, predictions: Path, *, task: str | None = None, jobs: int = 1) -> DatasetScore:
    """Return the scores of files of predictions; see `Evaluator.score` and `open_evaluator`."""
    return open_evaluator(dataset, task=task).score(predictions, jobs=jobs)
