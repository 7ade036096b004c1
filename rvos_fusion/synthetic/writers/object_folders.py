"""Writing synthetic videos in the shapes of Long-RVOS and ReasonVOS: a folder of masks for every object."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from rvos.errors import ConfigError
from rvos.files.atomic import write_atomically
from rvos_fusion.synthetic.language.sentences import Kind
from rvos_fusion.synthetic.synthesis import SyntheticVideo, make_video
from rvos_fusion.synthetic.writers.files import (
    choose_videos,
    count_entries,
    encode_image,
    frame_names,
    to_json,
    write_frames,
    writing,
)

_TYPES: Mapping[Kind, str] = {
    "appearance": "static",
    "place": "static",
    "motion": "dynamic",
    "relation": "static+dynamic",
}
_SOURCE = "shapes"
_UNKNOWN = 3
"""One video in so many has no truth in its last frame, as in the real data some frames have none."""


def write_long_rvos(root: Path, *, seed: int, n_videos: int, split: str = "valid") -> tuple[int, int]:
    """Write `n_videos` videos of `seed` below `root` and return the numbers of expressions and frames.

    A frame that does not show an object has no mask of it. Raises InputError: fewer than one video, or a folder that
    holds other videos or cannot be written.
    """
    order = choose_videos(root / split / "JPEGImages", seed=seed, n_videos=n_videos)
    expressions: dict[str, Any] = {}
    with writing(root):
        for index in order:
            video = make_video(seed, index)
            frames = frame_names(index, len(video.frames))
            write_frames(root / split, video, frames)
            for value in range(1, len(video.categories) + 1):
                masks = video.index_masks == value
                shown = [place for place, mask in enumerate(masks) if mask.any()]
                _write_masks(root / split / "Annotations" / video.id / str(value), frames, masks, shown)
            entries = {
                str(number): {"exp": one.text, "obj_id": str(one.object_id), "type": _TYPES[one.kind]}
                for number, one in enumerate(video.expressions)
            }
            expressions[video.id] = {"expressions": entries, "frames": list(frames)}
    write_atomically(root / split / "meta_expressions.json", to_json({"videos": expressions}))
    return count_entries(expressions)


def write_reason_vos(root: Path, *, seed: int, n_videos: int, split: str = "test") -> tuple[int, int]:
    """Write `n_videos` videos of `seed` below `root` and return the numbers of expressions and frames.

    Sentences about appearance are the short ones. Raises ConfigError: another split than test; InputError: as above.
    """
    if split != "test":
        raise ConfigError(f"{root}: ReasonVOS is for evaluation only; say --split test")
    expressions: dict[str, Any] = {}
    with writing(root):
        for index in choose_videos(root / "JPEGImages", seed=seed, n_videos=n_videos):
            video = make_video(seed, index)
            frames = frame_names(index, len(video.frames))
            write_frames(root, video, frames)
            known = range(len(frames) - (index % _UNKNOWN == _UNKNOWN - 1))
            for value in {one.object_id for one in video.expressions}:
                folder = root / "Annotations" / f"{_SOURCE}_{video.id}_{value}"
                _write_masks(folder, frames, video.index_masks == value, list(known))
            expressions[video.id] = {
                "source": _SOURCE,
                "frames": list(frames),
                "expressions": _list_sentences(video),
            }
    write_atomically(root / "meta_expressions.json", to_json({"videos": expressions}))
    return count_entries(expressions)


def _list_sentences(video: SyntheticVideo) -> list[dict[str, Any]]:
    return [
        {"obj_id": one.object_id, "exp_id": number, "exp_text": one.text, "is_sent": one.kind != "appearance"}
        for number, one in enumerate(video.expressions)
    ]


def _write_masks(folder: Path, frames: tuple[str, ...], masks: NDArray[np.bool_], places: list[int]) -> None:
    for place in places:
        image = Image.fromarray(masks[place].astype(np.uint8) * 255)
        write_atomically(folder / f"{frames[place]}.png", encode_image(image, "PNG"))
