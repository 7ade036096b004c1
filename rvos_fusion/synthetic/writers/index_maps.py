"""Writing synthetic videos with index maps: MOSEv2, which has no sentences, and a folder that describes itself."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rvos.files.atomic import write_atomically
from rvos.formats.custom import DESCRIPTION
from rvos.formats.mosev2 import META
from rvos_fusion.synthetic.synthesis import make_video
from rvos_fusion.synthetic.writers.files import (
    choose_videos,
    count_entries,
    frame_names,
    list_entries,
    to_json,
    write_frames,
    write_maps,
    writing,
)

_LAYOUT = """\
sentences: sentences/{split}.json
frames: "{split}/JPEGImages"
truth: "{split}/Annotations"
masks: index-maps
kind: kind
"""


def write_mosev2(root: Path, *, seed: int, n_videos: int, split: str = "valid") -> tuple[int, int]:
    """Write `n_videos` videos of `seed` below `root` and return the numbers of objects and frames.

    Every frame has its map, where the official validation set has the first one alone. Raises InputError: fewer than
    one video, or a folder that holds other videos or cannot be written.
    """
    order = choose_videos(root / split / "JPEGImages", seed=seed, n_videos=n_videos)
    objects: dict[str, Any] = {}
    n_frames = 0
    with writing(root):
        for index in order:
            video = make_video(seed, index)
            frames = frame_names(index, len(video.frames))
            write_frames(root / split, video, frames)
            write_maps(root / split, video, frames)
            height, width = video.index_masks.shape[1:]
            names = [str(one) for one in range(1, len(video.categories) + 1)]
            objects[video.id] = {"length": len(frames), "height": height, "width": width, "objects": names}
            n_frames += len(frames)
    write_atomically(root / split / META.format(split=split), to_json({"videos": objects}))
    return sum(len(entry["objects"]) for entry in objects.values()), n_frames


def write_custom(root: Path, *, seed: int, n_videos: int, split: str = "valid") -> tuple[int, int]:
    """Write `n_videos` videos of `seed` and the file that says where their parts lie; returns and raises as above."""
    expressions: dict[str, Any] = {}
    with writing(root):
        for index in choose_videos(root / split / "JPEGImages", seed=seed, n_videos=n_videos):
            video = make_video(seed, index)
            frames = frame_names(index, len(video.frames))
            write_frames(root / split, video, frames)
            write_maps(root / split, video, frames)
            expressions[video.id] = {"expressions": list_entries(video), "frames": list(frames)}
    write_atomically(root / "sentences" / f"{split}.json", to_json({"videos": expressions}))
    write_atomically(root / DESCRIPTION, _LAYOUT.encode())
    return count_entries(expressions)
