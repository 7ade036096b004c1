"""Dumps of the 2023 release: `{video: {expression: {"mask_logits": tensor, "class_info": list}}}` in `.pth` files.

Source: fusion_recipe.md, section 2.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.files.atomic import open_regular
from rvos.files.names import is_system_name
from rvos.files.stored_tensors import StoredTensor
from rvos.files.tensor_files import read_torch_file
from rvos.ids import compose_name, compose_names
from rvos.imports.soft_masks import SoftFrames, check_some_logits
from rvos.imports.source import Source, check_mask_size, find_frame_size
from rvos.masks.mask_sequences import KeepSoft, MaskSequence, SoftKind
from rvos.settings import count, name_type
from rvos.videos import Expression, Video

DumpValues = Literal["logits", "probabilities"]

_SOFT_SHRINK = 4
_LARGEST_SCORE = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class DumpSource(Source):
    """One or several dump files; only their indices are held in memory, masks are read frame by frame.

    Args:
        videos: video -> (file, expression -> entry).
        values: what `mask_logits` holds.
        soft: whether to keep soft maps at a quarter of the frame size, as `uint8` (true) or `float16`.
    """

    path: Path
    videos: Mapping[str, tuple[Path, Mapping[str, Any]]]
    values: DumpValues
    soft: KeepSoft = False

    def list_videos(self) -> tuple[str, ...]:
        """Ids of the videos in all files."""
        return tuple(self.videos)

    def list_expressions(self, video_id: str) -> tuple[str, ...]:
        """Ids of the expressions of a video."""
        return tuple(self.videos[video_id][1])

    def sample(self, video: Video) -> tuple[MaskSequence, ...]:
        """None: the index of the file tells sizes and numbers of frames."""
        size = find_frame_size(video)
        for expression in video.expressions:
            entry = self.videos[video.id][1].get(expression.id)
            _find_tensor(entry, video.n_frames, size, where=f"{self.path}: {video.id}/{expression.id}")
        return ()

    def read(self, video: Video) -> tuple[MaskSequence, ...]:
        """Return a video's masks and scores. Raises InputError: an entry is missing, malformed, cut or misfit."""
        if video.id not in self.videos:
            raise InputError(f"{self.path}: no video {video.id}; dump it too, or choose the split that was dumped")
        file, entries = self.videos[video.id]
        size = find_frame_size(video)
        with open_regular(file) as stream:
            rows = [
                self._read_expression(stream, video, expression, entries.get(expression.id), size)
                for expression in video.expressions
            ]
        if self.values == "logits":
            advice = "say `values: probabilities` (`--values probabilities`)"
            check_some_logits((may_be for _, may_be in rows), where=f"{self.path}: {video.id}", advice=advice)
        return tuple(sequence for sequence, _ in rows)

    def _read_expression(
        self, stream: BinaryIO, video: Video, expression: Expression, entry: Any, size: tuple[int, int] | None
    ) -> tuple[MaskSequence, bool]:
        """Return the masks, and whether the values can be logits: some are negative, or they are masks."""
        where = f"{self.path}: {video.id}/{expression.id}"
        tensor = _find_tensor(entry, video.n_frames, size, where=where)
        scores = _read_scores(stream, entry["class_info"], video.n_frames, where=where)
        height, width = tensor.shape[1:]
        kind: SoftKind = "logit" if self.values == "logits" else "probability"
        frames = SoftFrames((height, width), kind, self.soft, _SOFT_SHRINK)
        for index, name in enumerate(video.frames):
            values = tensor.read(stream, index).astype(np.float32, copy=False)
            frames.add(values, where=f"{where}, mask_logits, frame {name}")
        sequence = MaskSequence(
            video.id,
            expression.id,
            video.frames,
            (height, width),
            tuple(frames.runs),
            scores.astype(np.float32),
            int(np.argmax(scores)),  # before rounding to float32, which could make ties
            frames.maps(),
        )
        return sequence, frames.may_be_logits


def open_dump(path: Path, *, values: DumpValues, soft: KeepSoft = False) -> DumpSource:
    """Return the dump in a `.pth` file, or a folder of its parts. Raises InputError: unreadable, or a video twice."""
    files = [path]
    if os.path.isdir(path):
        files = sorted((file for file in path.glob("*.pth") if not is_system_name(file.name)), key=_natural_key)
    if not files:
        raise InputError(f"{path}: no .pth files in the folder; check the path")
    videos: dict[str, tuple[Path, Mapping[str, Any]]] = {}
    for file in files:
        content = read_torch_file(file)
        if not isinstance(content, Mapping):
            raise InputError(f"{file}: holds no dictionary of videos; give a dump of masks")
        for video, entries in content.items():
            if not isinstance(video, str) or not isinstance(entries, Mapping):
                held = f"{name_type(video)} with {name_type(entries)}"
                raise InputError(f"{file}: {held}, not a video with expressions; give a dump of masks")
            video = compose_name(video)
            if video in videos:
                raise InputError(f"{file}: video {video} is in {videos[video][0].name} too; keep one")
            names = compose_names((one for one in entries if isinstance(one, str)), where=f"{file}: {video}")
            videos[video] = (file, {name: entries[given] for name, given in names.items()})
    return DumpSource(path, videos, values, soft)


def _natural_key(path: Path) -> list[tuple[int, str]]:
    return [(int(part or 0), text) for text, part in re.findall(r"(\D*)(\d*)", path.name)]


def _find_tensor(entry: Any, n_frames: int, size: tuple[int, int] | None, *, where: str) -> StoredTensor:
    """Return the masks of an expression, which are not read."""
    if not isinstance(entry, Mapping) or "mask_logits" not in entry or "class_info" not in entry:
        raise InputError(f"{where}: no `mask_logits` and `class_info`; dump the expression again")
    value = entry["mask_logits"]
    if not isinstance(value, StoredTensor) or len(value.shape) != 3 or not value.is_contiguous:
        raise InputError(f"{where}: mask_logits is no tensor (T, H, W) in one piece; dump the expression again")
    if value.shape[0] != n_frames:
        raise InputError(
            f"{where}: {count(value.shape[0], 'mask')}, the video has {count(n_frames, 'frame')}; "
            "dump the expression again"
        )
    check_mask_size((value.shape[1], value.shape[2]), size, where=where)
    return value


def _read_scores(stream: BinaryIO, value: Any, n_frames: int, *, where: str) -> NDArray[np.float64]:
    """Return one score a frame from a list of numbers or of tensors of one number, or from a tensor."""
    n_found = value.n_values if isinstance(value, StoredTensor) else len(_as_list(value, where))
    if n_found != n_frames:
        raise InputError(f"{where}: class_info has {count(n_found, 'score')}, expected {n_frames}; dump it again")
    if isinstance(value, StoredTensor):
        scores = value.read(stream).astype(np.float64).reshape(-1)
    else:
        scores = np.array([_read_number(stream, one, where) for one in value], np.float64)
    if not (np.abs(scores) <= _LARGEST_SCORE).all():
        raise InputError(f"{where}: class_info holds scores that are not finite; dump it again")
    return scores


def _as_list(value: Any, where: str) -> Sequence[Any]:
    if not isinstance(value, (list, tuple)):
        raise InputError(f"{where}: class_info is no list of scores; dump the expression again")
    return value


def _read_number(stream: BinaryIO, value: Any, where: str) -> float:
    if isinstance(value, StoredTensor) and value.n_values == 1:
        return float(value.read(stream).reshape(-1)[0])
    if isinstance(value, (int, float)) and abs(value) <= _LARGEST_SCORE:
        return float(value)
    raise InputError(f"{where}: class_info holds something else than finite numbers; dump the expression again")
