"""ReVOS: sentences that refer, that ask, and about nothing, with masks as COCO run lengths; ids of videos are paths."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from rvos.dataset import Dataset, SelectTruth
from rvos.errors import ConfigError, InputError
from rvos.evaluation.protocols.revos import KINDS, RevosEvaluator
from rvos.files.json_files import expect_list, expect_object, parse_json
from rvos.files.trees import Tree, open_data
from rvos.formats.archives.files import MaskArchive
from rvos.formats.base import Format
from rvos.formats.reading.expressions import find_images, read_annotation_ids, read_expressions
from rvos.formats.reading.mask_dict import LARGEST_MASK_DICT, MaskDictReader, MaskDictSource
from rvos.settings import count
from rvos.videos import Video

SENTENCES = "meta_expressions_{split}_.json"
MASKS = "mask_dict.json"
FOREGROUND = "mask_dict_foreground.json"
_SPLITS = ("train", "valid")


def open_split(root: Path, split: str) -> Dataset:
    """Return a split of ReVOS. Raises ConfigError: no such split; InputError: files missing or that cannot be used."""
    if split not in _SPLITS:
        raise ConfigError(f"{root}: ReVOS has no split {split}; choose {' or '.join(_SPLITS)}")
    tree = open_data(root, known=frozenset({"JPEGImages"}))
    name = SENTENCES.format(split=split)
    if not tree.exists(name):
        raise InputError(f"{tree.name}: no {name}; it comes with ReVOS, put it beside {MASKS}")
    listed = read_expressions(tree, name, object_ids=read_annotation_ids, kind=_read_kind, paths=True)
    images, videos = find_images(root, tree, ("JPEGImages",), listed)
    truth: SelectTruth | None = None
    if tree.exists(MASKS):
        foreground = _ForegroundReader(tree) if tree.exists(FOREGROUND) else None
        truth = _TruthReader(MaskDictReader(tree, MASKS, images is not None), foreground)
    return Dataset("revos", root, split, videos, images, truth, is_by_object=True)


def _read_kind(entry: Mapping[str, Any], where: str) -> str:
    number = entry.get("type_id")
    if type(number) is not int or not 0 <= number < len(KINDS):
        raise InputError(f"{where}: type_id {ascii(number)[:40]}, expected 0 to {len(KINDS) - 1}; correct it")
    return KINDS[number]


class _ForegroundReader:
    """The union of all annotated objects by video and frame, as the official generator writes it; read once."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._where = f"{tree.name}/{FOREGROUND}"

    @cached_property
    def _videos(self) -> dict[str, Any]:
        content = parse_json(self._tree.read(FOREGROUND, most=LARGEST_MASK_DICT), where=self._where)
        return expect_object(content, where=self._where)

    def read(self, video: Video) -> list[Any]:
        """Return the run lengths of a video. Raises InputError: there are none, or of another number of frames."""
        where = f"{self._where}: {video.id}"
        found = expect_list(expect_object(self._videos.get(video.id), where=where).get("masks_rle"), where=where)
        if len(found) != video.n_frames:
            raise InputError(
                f"{where}: {count(len(found), 'mask')} for {count(video.n_frames, 'frame')}; make the file again"
            )
        return found


@dataclass(frozen=True, slots=True)
class _TruthReader:
    """Selects the annotations of a video, with the union of all objects where that has a file of its own."""

    annotations: MaskDictReader
    foreground: _ForegroundReader | None

    def __call__(self, video: Video) -> MaskDictSource:
        source = self.annotations(video)
        return source if self.foreground is None else replace(source, all_objects=self.foreground.read(video))


FORMAT = Format(
    name="revos",
    title="ReVOS",
    read=open_split,
    evaluator=RevosEvaluator,
    archive=MaskArchive(top="Annotations/"),
    overlapping=True,
    marks=(*(SENTENCES.format(split=split) for split in _SPLITS), FOREGROUND, MASKS),
)
