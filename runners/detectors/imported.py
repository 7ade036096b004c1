"""What any detector found, as COCO-style JSON.

`{"images": [{"id", "file_name": "VIDEO/FRAME.jpg"}], "categories": [{"id", "name"}], "annotations": [{"image_id",
"category_id", "bbox": [left, top, width, height], "segmentation": run length, "score"}]}`. An annotation has a box, a
mask or both; one without category is taken for every noun, one without score has 1. A folder holds one such file for
each video, `VIDEO.json`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np

from runners.detectors.settings import ImportedSettings
from rvos.errors import InputError
from rvos.files.json_files import expect_list, expect_object, read_json
from rvos.language.nouns import is_category
from rvos.masks.detections import FrameBoxes, FrameInstances, box_mask
from rvos.masks.run_lengths import check_run_length
from rvos.settings import count
from rvos.videos import Video

if TYPE_CHECKING:
    import torch

_LARGEST_FILE = 1 << 32
_LARGEST = float(np.finfo(np.float32).max)
Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Listed:
    """One annotation; `where` names it in messages, `category` is None where it has none."""

    where: str
    category: str | None
    row: Row


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """A usable annotation: box (left, top, right, bottom), score, label and perhaps a mask."""

    box: tuple[float, float, float, float]
    score: float
    label: str
    mask: bytes | None


class ImportedDetections:
    """The content of a file, or of a folder read video by video; annotations below `threshold` are dropped."""

    def __init__(self, path: Path, *, threshold: float) -> None:
        self._path = path
        self._threshold = threshold
        self._whole = None if path.is_dir() else read_annotations(path)

    def detect(self, video: Video, frames: Sequence[int], nouns: Sequence[Sequence[str]]) -> list[list[FrameInstances]]:
        """See `Detector`; a frame that the file does not list has no boxes. InputError: unusable, or other frames."""
        listed = self._whole if self._whole is not None else read_annotations(self._path / f"{video.id}.json")
        self._check_frames(video, frames, [frame for name, frame in listed if name == video.id])
        size = video.read_size()
        return [
            [self._read(listed.get((video.id, video.frames[index]), ()), names, size) for index in frames]
            for names in nouns
        ]

    def _check_frames(self, video: Video, frames: Sequence[int], listed: Sequence[str]) -> None:
        """Check that not all detections of a video are of frames that nobody asks for."""
        wanted = [video.frames[index] for index in frames]
        if listed and not set(listed) & set(wanted):
            raise InputError(
                f"{self._path}: {video.id}: lists {count(len(listed), 'frame')}, such as "
                f"{ascii(listed[0])[:40]}, and none that "
                f"is looked at, such as {wanted[0]}; detect there, or look at other frames"
            )

    def _read(self, rows: Sequence[_Listed], names: Sequence[str], size: tuple[int, int]) -> FrameInstances:
        own = [
            one
            for one in rows
            if not names or one.category is None or any(is_category(name, one.category) for name in names)
        ]
        found = [one for one in (_read_annotation(row, size) for row in own) if one.score >= self._threshold]
        boxes = np.array([one.box for one in found], np.float32).reshape(-1, 4)
        scores = np.array([one.score for one in found], np.float32)
        masks = tuple(one.mask for one in found if one.mask is not None)
        if masks and len(masks) < len(found):
            raise InputError(
                f"{own[0].where}: masks for {len(masks)} of {count(len(found), 'box', 'boxes')} of "
                "a frame; give all or none"
            )
        labels = tuple(one.label for one in found)
        return FrameInstances(FrameBoxes(boxes, scores, labels), masks if masks or not found else None)


def build(settings: ImportedSettings, *, device: torch.device) -> ImportedDetections:
    """Return the opened import; InputError where it is missing, or not of this form."""
    return ImportedDetections(settings.path, threshold=settings.box_threshold)


def read_annotations(path: Path) -> dict[tuple[str, str], list[_Listed]]:
    """Return a file's annotations by video and frame, an empty list where a frame has none; InputError: unusable."""
    where = str(path)
    content = expect_object(read_json(path, most=_LARGEST_FILE), where=where)
    images = {_read_id(row, where): _read_place(row, where) for row in _read_rows(content, "images", where)}
    categories = {
        _read_id(row, where): _read_name(row, where) for row in _read_rows(content, "categories", where, needed=False)
    }
    found: dict[tuple[str, str], list[_Listed]] = {place: [] for place in images.values()}
    for number, row in enumerate(_read_rows(content, "annotations", where)):
        here = f"{where}: annotation {number}"
        image, category = row.get("image_id"), row.get("category_id")
        if not isinstance(image, int | str) or image not in images:
            raise InputError(f"{here}: image_id {ascii(image)[:40]} is not among the images; correct it")
        if category is not None and (not isinstance(category, int | str) or category not in categories):
            raise InputError(f"{here}: category_id {ascii(category)[:40]} is not among the categories; correct it")
        found[images[image]].append(_Listed(here, None if category is None else categories[category], row))
    return found


def _read_rows(content: Mapping[str, Any], key: str, where: str, *, needed: bool = True) -> list[Row]:
    if key not in content and not needed:
        return []
    rows = expect_list(content.get(key), where=f"{where}: {key}")
    return [expect_object(row, where=f"{where}: {key}") for row in rows]


def _read_id(row: Row, where: str) -> int | str:
    value = row.get("id")
    if not isinstance(value, int | str) or isinstance(value, bool):
        raise InputError(f"{where}: id {ascii(value)[:40]}; give every image and category a number or text")
    return value


def _read_place(row: Row, where: str) -> tuple[str, str]:
    """Return video and frame of an image."""
    name = row.get("file_name")
    parts = PurePosixPath(name).parts if isinstance(name, str) else ()
    if len(parts) < 2:
        raise InputError(f"{where}: file_name {ascii(name)[:60]}; give VIDEO/FRAME.jpg")
    return parts[-2], PurePosixPath(parts[-1]).stem


def _read_name(row: Row, where: str) -> str:
    name = row.get("name")
    if not isinstance(name, str):
        raise InputError(f"{where}: category of name {ascii(name)[:40]}; give text")
    return name.strip().lower()


def _read_annotation(listed: _Listed, size: tuple[int, int]) -> _Found:
    row, where = listed.row, listed.where
    score = row.get("score", 1.0)
    if not _is_number(score) or not 0 <= score <= 1:
        raise InputError(f"{where}: score {ascii(score)[:40]}; give a number from 0 to 1")
    mask = row.get("segmentation")
    if isinstance(mask, list):
        raise InputError(f"{where}: the segmentation is a polygon; give run lengths")
    runs = None if mask is None else check_run_length(mask, size, where=where)
    return _Found(_read_box(row.get("bbox"), runs, size, where), float(score), listed.category or "", runs)


def _read_box(value: Any, runs: bytes | None, size: tuple[int, int], where: str) -> tuple[float, float, float, float]:
    if value is None and runs is not None:
        return box_mask(runs, size)
    numbers = value if isinstance(value, list) else []
    if len(numbers) != 4 or not all(_is_number(number) for number in numbers):
        raise InputError(f"{where}: bbox {ascii(value)[:60]}; give [left, top, width, height] in pixels")
    left, top, width, height = numbers
    return left, top, left + width, top + height


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value) and abs(value) <= _LARGEST / 2
