"""Stored masks written as a split to train on, in the layout of Ref-YouTube-VOS or, where answers overlap, of MeViS."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from fusion.pseudo_labels import gather_objects, paint_labels
from rvos.errors import ConfigError
from rvos.files.atomic import read_whole, write_atomically
from rvos.files.images import LARGEST_IMAGE_FILE
from rvos.ids import escape_path
from rvos.masks.index_maps import encode_index_map
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video
from rvos_fusion.planning.results import Results

_JPEG = (".jpg", ".jpeg")
_QUALITY = 95


Labels = tuple[Mapping[str, Mapping[str, Any]], Mapping[str, str]]
"""What each sentence that is a label says of its object, and why others are none."""


@dataclass(frozen=True, slots=True)
class LabelCounts:
    """What was written into the split; `dropped` counts sentences by reason."""

    videos: int
    expressions: int
    objects: int
    dropped: dict[str, int]


def write_pseudo_labels(
    results: Results,
    node: str,
    videos: Sequence[Video],
    out: Path,
    *,
    split: str = "train",
    least_score: float | None = None,
    overlapping: bool = False,
    quiet: bool = False,
) -> LabelCounts:
    """Write frames, masks and expressions; videos without any label are left out.

    The expression file is written last: a folder that has one is complete.

    Args:
        overlapping: in MeViS's form, whose masks may overlap; else index maps, which have one object a pixel.

    Raises:
        ConfigError: the folder holds this split already, or nothing is left to write.
        FusionError, InputError, StoreError: masks or frames that cannot be used, or files that cannot be written.
    """
    form = _RunLengths(out, split) if overlapping else _IndexMaps(out, split)
    if form.expression_file.exists():
        raise ConfigError(f"{out}: holds a split {split} already; name another --out or --split")
    results.require([node])
    entries: dict[str, Any] = {}
    dropped: Counter[str] = Counter()
    for video in tqdm(videos, desc=node, unit="video", disable=quiet):
        named, reasons = form.label(video, results.of_video(video.id).read(node), least_score=least_score)
        dropped.update(reasons.values())
        if not named:
            continue
        for index, frame in enumerate(video.frames):
            path = out / split / "JPEGImages" / escape_path(video.id) / f"{frame}.jpg"
            write_atomically(path, _read_jpeg(video, index))
        expressions = {one.id: {"exp": one.text, **named[one.id]} for one in video.expressions if one.id in named}
        entries[escape_path(video.id)] = {"expressions": expressions, "frames": list(video.frames)}
    if not entries:
        raise ConfigError(f"{node}: no sentence is left as a label; lower --least-score")
    form.finish()
    write_atomically(form.expression_file, json.dumps({"videos": entries}, indent=1).encode())
    sentences = sum(len(entry["expressions"]) for entry in entries.values())
    return LabelCounts(len(entries), sentences, form.n_objects, dict(sorted(dropped.items())))


class _IndexMaps:
    """The layout of Ref-YouTube-VOS; its masks are written video by video."""

    def __init__(self, out: Path, split: str) -> None:
        self.expression_file = out / "meta_expressions" / split / "meta_expressions.json"
        self.n_objects = 0
        self._folder = out / split / "Annotations"

    def label(self, video: Video, masks: Sequence[MaskSequence], *, least_score: float | None) -> Labels:
        found = paint_labels(masks, least_score=least_score)
        if found.objects:
            for index, frame in enumerate(video.frames):
                path = self._folder / escape_path(video.id) / f"{frame}.png"
                write_atomically(path, encode_index_map(found.labels[index]))
        self.n_objects += len(set(found.objects.values()))
        return {name: {"obj_id": str(number)} for name, number in found.objects.items()}, found.dropped

    def finish(self) -> None:
        """Nothing is left to write."""


class _RunLengths:
    """The layout of MeViS; the masks of all videos are one file."""

    def __init__(self, out: Path, split: str) -> None:
        self.expression_file = out / split / "meta_expressions.json"
        self._mask_file = out / split / "mask_dict.json"
        self._masks: dict[str, list[dict[str, object] | None]] = {}

    @property
    def n_objects(self) -> int:
        return len(self._masks)

    def label(self, video: Video, masks: Sequence[MaskSequence], *, least_score: float | None) -> Labels:
        objects, dropped = gather_objects(masks, least_score=least_score)
        named: dict[str, dict[str, Any]] = {}
        for place, sentences in enumerate(objects):
            number, first = len(self._masks), sentences[0]
            self._masks[str(number)] = [
                {"size": list(first.size), "counts": runs.decode()} if mask.any() else None
                for runs, mask in zip(first.runs, first.masks(), strict=True)
            ]
            named |= {one.expression: {"obj_id": [place], "anno_id": [number]} for one in sentences}
        return named, dropped

    def finish(self) -> None:
        write_atomically(self._mask_file, json.dumps(self._masks).encode())


def _read_jpeg(video: Video, index: int) -> bytes:
    """Return a frame as JPEG: its own bytes where it is one."""
    path = video.image_paths[index]
    if path.suffix.lower() in _JPEG:
        return read_whole(path, most=LARGEST_IMAGE_FILE)
    stream = io.BytesIO()
    Image.fromarray(video.read_frame(index)).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
