"""Masks as COCO run lengths in JSON.

`{video: {expression: [rle or null, one a frame]}}`, or instead of the list an object with `masks` (that list, or frame
name -> rle or null), and perhaps `scores` (one a frame) and `key_frame` (index). `path` is one file, or a folder with
`<video>.json`, each holding the expressions of its video. One file may have the form of YouTube-VIS instead.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.files.json_files import expect_list, expect_object, read_json
from rvos.files.names import find_named
from rvos.files.trees import FolderTree
from rvos.imports.source import Source, check_mask_size, find_frame_size, score_presence
from rvos.imports.youtube_vis import is_youtube_vis, read_youtube_vis
from rvos.masks.mask_sequences import MaskSequence, encode
from rvos.masks.run_lengths import check_run_length
from rvos.masks.runs import Runs
from rvos.settings import count, nearest
from rvos.videos import Expression, Video

_SUFFIX = ".json"
_KNOWN = ("masks", "scores", "key_frame")
_LARGEST_FILE = 1 << 32
_LARGEST = float(np.finfo(np.float32).max)


@dataclass(frozen=True, slots=True)
class RleSource(Source):
    """Run lengths of videos: a whole file in memory, or of a folder (None) one file a video, read when asked for."""

    path: Path
    content: Mapping[str, Any] | None

    def list_videos(self) -> tuple[str, ...]:
        """Ids of the videos."""
        if self.content is not None:
            return tuple(self.content)
        names = FolderTree(self.path).children()
        return tuple(name.removesuffix(_SUFFIX) for name in names if name.endswith(_SUFFIX))

    def list_expressions(self, video_id: str) -> tuple[str, ...]:
        """Ids of the expressions of a video."""
        return tuple(name for name, entry in self._read_entries(video_id).items() if entry is not None)

    def sample(self, video: Video) -> tuple[MaskSequence, ...]:
        """All of them."""
        return self.read(video)

    def read(self, video: Video) -> tuple[MaskSequence, ...]:
        """Return the masks of a video. Raises InputError: an entry is missing, malformed, or does not fit."""
        entries = self._read_entries(video.id)
        size = find_frame_size(video) or self._find_size(entries, video)
        return tuple(
            self._read_expression(video, expression, entries.get(expression.id), size)
            for expression in video.expressions
        )

    def _read_entries(self, video_id: str) -> Mapping[str, Any]:
        if self.content is None:
            file = find_named(self.path, f"{video_id}{_SUFFIX}")
            return expect_object(read_json(file), where=str(file))
        if video_id not in self.content:
            raise InputError(f"{self.path}: no video {video_id}; add it, or choose the split that the file is of")
        return expect_object(self.content[video_id], where=f"{self.path}: {video_id}")

    def _find_size(self, entries: Mapping[str, Any], video: Video) -> tuple[int, int]:
        """Return the size of the first mask, for a data set without images."""
        for name, entry in entries.items():
            for rle in _list_masks(entry, video, where=f"{self.path}: {video.id}/{name}"):
                if isinstance(rle, Mapping) and isinstance(rle.get("size"), list) and len(rle["size"]) == 2:
                    height, width = rle["size"]
                    if type(height) is int and type(width) is int:
                        return check_mask_size((height, width), None, where=f"{self.path}: {video.id}/{name}")
        raise InputError(f"{self.path}: {video.id}: no mask tells the frame size; add the images of the data set")

    def _read_expression(self, video: Video, expression: Expression, entry: Any, size: tuple[int, int]) -> MaskSequence:
        where = f"{self.path}: {video.id}/{expression.id}"
        if entry is None:
            raise InputError(f"{where}: missing; add it")
        masks = _list_masks(entry, video, where=where)
        nothing = encode(np.zeros((1, *size), bool))[0]
        runs = tuple(
            nothing if rle is None else check_run_length(rle, size, where=f"{where}, frame {frame}")
            for frame, rle in zip(video.frames, masks, strict=True)
        )
        details = entry if isinstance(entry, Mapping) else {}
        unknown = next((key for key in details if key not in _KNOWN), None)
        if unknown is not None:
            raise InputError(f"{where}: unknown key {ascii(unknown)[:60]}; {nearest(unknown, _KNOWN)}")
        scores = _read_scores(details.get("scores"), runs, size, where=where)
        return MaskSequence(
            video.id,
            expression.id,
            video.frames,
            size,
            runs,
            scores,
            _read_key_frame(details, video, where=where),
            scored=details.get("scores") is not None,
        )


def open_rle(path: Path) -> RleSource:
    """Return the run lengths in a JSON file, or a folder of one file a video. Raises InputError: missing, no JSON."""
    if os.path.isdir(path):
        return RleSource(path, None)
    content = expect_object(read_json(path, most=_LARGEST_FILE), where=str(path))
    return RleSource(path, read_youtube_vis(content, where=str(path)) if is_youtube_vis(content) else content)


def _list_masks(entry: Any, video: Video, *, where: str) -> list[Any]:
    """Return one run length or None a frame."""
    masks = entry.get("masks") if isinstance(entry, Mapping) else entry
    if isinstance(masks, Mapping):
        unknown = [frame for frame in masks if frame not in video.frames]
        lacking = [frame for frame in video.frames if frame not in masks]
        if unknown or lacking:
            what = f"frame {unknown[0]} is not in the video" if unknown else f"frame {lacking[0]} is missing"
            raise InputError(f"{where}: {what}; list exactly the frames of the data set")
        return [masks[frame] for frame in video.frames]
    listed = expect_list(masks, where=f"{where}: masks")
    if len(listed) != video.n_frames:
        raise InputError(
            f"{where}: {count(len(listed), 'mask')}, the video has {count(video.n_frames, 'frame')}; give one for each"
        )
    return listed


def _read_scores(value: Any, runs: tuple[bytes, ...], size: tuple[int, int], *, where: str) -> NDArray[np.float32]:
    if value is None:
        return score_presence((Runs.decode(runs, size).areas() == 0).tolist())
    scores = expect_list(value, where=f"{where}: scores")
    if len(scores) != len(runs) or not all(type(one) in (int, float) and abs(one) <= _LARGEST for one in scores):
        raise InputError(f"{where}: scores must be {count(len(runs), 'finite number')}, one a frame; correct them")
    return np.array(scores, np.float32)


def _read_key_frame(details: Mapping[str, Any], video: Video, *, where: str) -> int | None:
    index = details.get("key_frame")
    if index is None:
        return None
    if type(index) is not int or not 0 <= index < video.n_frames:
        raise InputError(
            f"{where}: key_frame {ascii(index)[:40]} is no index into the {count(video.n_frames, 'frame')}; correct it"
        )
    return index
