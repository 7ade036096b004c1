"""Writing synthetic videos as a MeViSv2-shaped data set: sentences about several objects, and about none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rvos.errors import InputError
from rvos.files.atomic import write_atomically
from rvos_fusion.synthetic.synthesis import make_video
from rvos_fusion.synthetic.writers.files import (
    choose_videos,
    count_entries,
    frame_names,
    to_json,
    write_frames,
    writing,
)
from rvos_fusion.synthetic.writers.mixed_sentences import HARD, NO_TARGET, Mixer, encode_object


def write_mevis(
    root: Path, *, seed: int, n_videos: int, split: str = "valid_u", no_target: float = NO_TARGET, hard: float = HARD
) -> tuple[int, int]:
    """Write `n_videos` videos of `seed` below `root` and return the numbers of expressions and frames.

    Beside the official files there is a `meta.json` with the category of every object.

    Args:
        no_target: share in [0, 1) of the sentences that are true of nothing in their video.
        hard: share in [0, 1] of these that speak of an object which is there, a fifth each with a wrong direction,
            count, order, relation or attribute; the others name a shape that the video does not show.

    Raises:
        InputError: fewer than one video, a share out of range, or a folder that cannot be written.
    """
    if n_videos < 1 or not 0 <= no_target < 1 or not 0 <= hard <= 1:
        wish = f"n_videos {n_videos}, no_target {no_target}, hard {hard}"
        raise InputError(f"{root}: {wish}; give at least 1, 0 to below 1, and 0 to 1")
    order = choose_videos(root / split / "JPEGImages", seed=seed, n_videos=n_videos)
    mixer = Mixer(seed, n_videos, no_target=no_target, hard=hard)
    expressions: dict[str, Any] = {}
    masks: dict[str, list[dict[str, Any] | None]] = {}
    objects: dict[str, Any] = {}
    with writing(root):
        for index in order:
            video = make_video(seed, index)
            frames = frame_names(index, len(video.frames))
            write_frames(root / split, video, frames)
            first = len(masks)
            masks |= {str(first + place): encode_object(video, place + 1) for place in range(len(video.categories))}
            categories = {str(first + place): {"category": name} for place, name in enumerate(video.categories)}
            objects[video.id] = {"objects": categories}
            # Annotation `first + k` is the object k + 1 of the video.
            entries = {
                str(number): {
                    "exp": one.text,
                    "obj_id": one.places,
                    "anno_id": [first + place for place in one.places],
                    "kind": one.kind,
                }
                for number, one in enumerate(mixer.mix(video, index))
            }
            expressions[video.id] = {"expressions": entries, "frames": list(frames)}
    write_atomically(root / split / "mask_dict.json", to_json(masks))
    write_atomically(root / split / "meta.json", to_json({"videos": objects}))
    write_atomically(root / split / "meta_expressions_v2.json", to_json({"videos": expressions}))
    return count_entries(expressions)
