"""Stored masks written as a split to train on, in the layout of Ref-YouTube-VOS."""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from fusion.pseudo_labels import paint_labels
from rvos.errors import ConfigError
from rvos.files.atomic import read_whole, write_atomically
from rvos.files.images import LARGEST_IMAGE_FILE
from rvos.masks.index_maps import encode_index_map
from rvos.videos import Video
from rvos_fusion.planning.results import Results

_JPEG = (".jpg", ".jpeg")
_QUALITY = 95


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
    quiet: bool = False,
) -> LabelCounts:
    """Write frames, index maps and expressions; videos without any label are left out.

    The expression file is written last: a folder that has one is complete.

    Raises:
        ConfigError: the folder holds this split already, or nothing is left to write.
        FusionError, InputError, StoreError: masks or frames that cannot be used, or files that cannot be written.
    """
    expression_file = out / "meta_expressions" / split / "meta_expressions.json"
    if expression_file.exists():
        raise ConfigError(f"{out}: holds a split {split} already; name another --out or --split")
    results.require([node])
    entries: dict[str, Any] = {}
    dropped: Counter[str] = Counter()
    objects = 0
    for video in tqdm(videos, desc=node, unit="video", disable=quiet):
        found = paint_labels(results.of_video(video.id).read(node), least_score=least_score)
        dropped.update(found.dropped.values())
        if not found.objects:
            continue
        for index, frame in enumerate(video.frames):
            labels = encode_index_map(found.labels[index])
            write_atomically(out / split / "JPEGImages" / video.id / f"{frame}.jpg", _read_jpeg(video, index))
            write_atomically(out / split / "Annotations" / video.id / f"{frame}.png", labels)
        expressions = {
            one.id: {"exp": one.text, "obj_id": str(found.objects[one.id])}
            for one in video.expressions
            if one.id in found.objects
        }
        entries[video.id] = {"expressions": expressions, "frames": list(video.frames)}
        objects += len(set(found.objects.values()))
    if not entries:
        raise ConfigError(f"{node}: no sentence is left as a label; lower --least-score")
    write_atomically(expression_file, json.dumps({"videos": entries}, indent=1).encode())
    sentences = sum(len(entry["expressions"]) for entry in entries.values())
    return LabelCounts(len(entries), sentences, objects, dict(sorted(dropped.items())))


def _read_jpeg(video: Video, index: int) -> bytes:
    """Return a frame as JPEG: its own bytes where it is one."""
    path = video.image_paths[index]
    if path.suffix.lower() in _JPEG:
        return read_whole(path, most=LARGEST_IMAGE_FILE)
    stream = io.BytesIO()
    Image.fromarray(video.read_frame(index)).save(stream, "JPEG", quality=_QUALITY)
    return stream.getvalue()
