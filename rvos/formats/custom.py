"""A data set that a small file in its folder describes: where frames, sentences and truth lie, and what is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

from rvos.dataset import Dataset, SelectTruth
from rvos.errors import ConfigError
from rvos.evaluation.evaluator import Evaluator
from rvos.evaluation.expressions import ExpressionEvaluator, TargetEvaluator
from rvos.evaluation.protocols.long_rvos import LongEvaluator
from rvos.files.trees import FolderTree
from rvos.formats.archives.files import MaskArchive
from rvos.formats.base import Format
from rvos.formats.reading.expressions import find_images, read_annotation_ids, read_expressions, read_object_id
from rvos.formats.reading.mask_dict import MaskDictReader
from rvos.formats.reading.object_folders import ObjectFolders
from rvos.formats.reading.truth import IndexSource, PerExpressionTruth
from rvos.ids import check_path
from rvos.settings import load, read_document

DESCRIPTION = "rvos_dataset.yaml"
_WHAT = "description of a data set"

_MEASURES: Mapping[str, Callable[[Dataset, str | None], Evaluator]] = {
    "j-and-f": ExpressionEvaluator,
    "targets": TargetEvaluator,
    "presence": LongEvaluator,
}


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the parts of a data set lie, relative to its folder; `{split}` stands for the split.

    Args:
        sentences: a file in the form of `meta_expressions.json`.
        frames: the folder of `<video>/<frame>.jpg` or `.png`.
        truth: a folder, or a file of run lengths; None: there is none.
        masks: of the truth: index maps `<video>/<frame>.png`; masks `<video>/<object>/<frame>.png`, none of which is
            needed where the object is absent; masks `<video>/<sentence>/<frame>.png`; or run lengths by `anno_id` as in
            MeViS' `mask_dict.json`.
        measures: J and F; also what MeViS measures of sentences without target; or tIoU and vIoU of Long-RVOS.
        kind: key of a sentence in the file that states its kind.
    """

    sentences: str
    frames: str
    truth: str | None = None
    masks: Literal["index-maps", "objects", "sentences", "run-lengths"] = "index-maps"
    measures: Literal["j-and-f", "targets", "presence"] = "j-and-f"
    kind: str = "kind"

    def place(self, value: str, split: str, *, where: str) -> str:
        """Return a path for a split. Raises InputError: it leads out of the folder."""
        return check_path(value.replace("{split}", split), where=where, what="path")


def read_layout(root: Path) -> Layout:
    """Return what describes a data set. Raises ConfigError: missing, or everything that is wrong with it."""
    path = root / DESCRIPTION
    if not path.is_file():
        raise ConfigError(f"{path}: no such file; write down there where frames, sentences and truth lie")
    return load(Layout, read_document(path, what=_WHAT), where=str(path), what=_WHAT)


def open_split(root: Path, split: str) -> Dataset:
    """Return a split of a described data set. Raises ConfigError: the description; InputError: what it names."""
    layout, where, tree = read_layout(root), str(root / DESCRIPTION), FolderTree(root)
    by_annotation = layout.masks == "run-lengths"
    listed = read_expressions(
        tree,
        layout.place(layout.sentences, split, where=where),
        object_ids=read_annotation_ids if by_annotation else read_object_id,
        kind=partial(_read_kind, layout.kind),
        paths=True,
    )
    images, videos = find_images(root, tree, (layout.place(layout.frames, split, where=where),), listed)
    truth: SelectTruth | None = None
    if layout.truth is not None:
        truth = _open_truth(layout, tree, layout.place(layout.truth, split, where=where), images is not None)
    return Dataset("custom", root, split, videos, images, truth, is_by_object=layout.masks != "sentences")


def _open_truth(layout: Layout, tree: FolderTree, place: str, has_images: bool) -> SelectTruth:
    if layout.masks == "run-lengths":
        return MaskDictReader(tree, place, has_images)
    folder = tree.below(place)
    if layout.masks == "objects":
        return partial(ObjectFolders, folder, place="{video}/{object}", has_images=has_images)
    return partial(IndexSource if layout.masks == "index-maps" else PerExpressionTruth, folder)


def _read_kind(key: str, entry: Mapping[str, Any], where: str) -> str:
    kind = entry.get(key)
    return str(kind) if isinstance(kind, str | int) and not isinstance(kind, bool) else ""


def open_evaluator(dataset: Dataset, task: str | None = None) -> Evaluator:
    """Return what measures as the description says."""
    return _MEASURES[read_layout(dataset.root).measures](dataset, task)


FORMAT = Format(
    name="custom",
    title="custom",
    read=open_split,
    evaluator=open_evaluator,
    archive=MaskArchive(top="Annotations/"),
    overlapping=True,
    marks=(DESCRIPTION,),
)
