"""Run lengths in the form of YouTube-VIS: a list of `videos`, and one of `annotations`.

A video has `id`, `height`, `width` and `file_names` (`<video>/<frame>.jpg`); an annotation `video_id`, `segmentations`
(one run length or null a file name) and, beside what that form knows, `expression`: the sentence that it answers;
perhaps `scores` and `key_frame`, as in JSON of run lengths.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from rvos.errors import InputError
from rvos.files.json_files import expect_list, expect_object
from rvos.ids import compose_name
from rvos.masks.mask_sequences import encode
from rvos.masks.run_lengths import read_run_size
from rvos.settings import count

_TAKEN_OVER = ("scores", "key_frame")


@dataclass(frozen=True, slots=True)
class _ListedVideo:
    """A video by its name, with its frames; `nothing` is the run length of a frame without the object."""

    name: str
    frames: tuple[str, ...]
    nothing: Mapping[str, Any]


def is_youtube_vis(content: Mapping[str, Any]) -> bool:
    """Return whether JSON is of this form."""
    return isinstance(content.get("videos"), list) and isinstance(content.get("annotations"), list)


def read_youtube_vis(content: Mapping[str, Any], *, where: str) -> dict[str, dict[str, Any]]:
    """Return `{video: {expression: {masks: {frame: run length}, ...}}}` of the form's lists.

    Raises:
        InputError: a video without a name, frames or a size; an annotation of no video, without an expression, of one
            that another has, or of another number of frames.
    """
    videos: dict[object, _ListedVideo] = {}
    for place, given in enumerate(content["videos"]):
        entry = expect_object(given, where=f"{where}: videos, entry {place}")
        video = _read_video(entry, where=f"{where}: videos, entry {place}")
        if _name_id(entry.get("id")) in videos or any(video.name == other.name for other in videos.values()):
            raise InputError(f"{where}: videos, entry {place}: {video.name} or its id is listed before; keep one")
        videos[_name_id(entry.get("id"))] = video
    found: dict[str, dict[str, Any]] = {video.name: {} for video in videos.values()}
    for place, given in enumerate(content["annotations"]):
        here = f"{where}: annotations, entry {place}"
        entry = expect_object(given, where=here)
        own = videos.get(_name_id(entry.get("video_id")))
        name = entry.get("expression")
        if own is None or not isinstance(name, str):
            lacking = "expression" if own is not None else "video_id of a listed video"
            raise InputError(f"{here}: no {lacking}; name it there")
        expression = compose_name(name)
        if expression in found[own.name]:
            raise InputError(f"{here}: {own.name}/{expression} has masks before; keep one entry a sentence")
        found[own.name][expression] = _read_masks(entry, own, where=f"{here}: {own.name}/{expression}")
    return found


def _name_id(value: object) -> tuple[type, str]:
    """Return what stands for an id: 1 and "1" differ, and lists can be no key."""
    return type(value), repr(value)


def _read_video(entry: Mapping[str, Any], *, where: str) -> _ListedVideo:
    files = expect_list(entry.get("file_names"), where=f"{where}: file_names")
    if not files or not all(isinstance(file, str) for file in files):
        raise InputError(f"{where}: file_names must be <video>/<frame>.jpg, one a frame; list them")
    folders, _, names = zip(*(compose_name(file).rpartition("/") for file in files), strict=True)
    frames = tuple(name.rpartition(".")[0] or name for name in names)
    if not folders[0] or len(set(folders)) > 1 or len(set(frames)) < len(frames):
        raise InputError(f"{where}: file_names must be different files of one folder, named as the video; correct them")
    height, width = read_run_size({"size": [entry.get("height"), entry.get("width")]}, where=where)
    nothing = encode(np.zeros((1, height, width), bool))[0].decode()
    return _ListedVideo(folders[0], frames, {"size": [height, width], "counts": nothing})


def _read_masks(entry: Mapping[str, Any], video: _ListedVideo, *, where: str) -> dict[str, Any]:
    masks = expect_list(entry.get("segmentations"), where=f"{where}: segmentations")
    if len(masks) != len(video.frames):
        raise InputError(
            f"{where}: {count(len(masks), 'segmentation')}, the video has {count(len(video.frames), 'file name')}; "
            "give one for each"
        )
    filled = [video.nothing if mask is None else mask for mask in masks]
    details = {key: entry[key] for key in _TAKEN_OVER if key in entry}
    return {"masks": dict(zip(video.frames, filled, strict=True)), **details}
