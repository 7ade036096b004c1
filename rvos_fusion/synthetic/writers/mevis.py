"""Writing synthetic videos as a MeViSv2-shaped data set: sentences about several objects, and about none."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from pycocotools import mask as coco

from rvos.errors import InputError
from rvos.files.atomic import write_atomically
from rvos_fusion.synthetic.language.sentences import NOUNS
from rvos_fusion.synthetic.language.several import write_group_sentences
from rvos_fusion.synthetic.synthesis import SyntheticVideo, make_video
from rvos_fusion.synthetic.writers.files import (
    choose_videos,
    count_entries,
    frame_names,
    to_json,
    write_frames,
    writing,
)

NO_TARGET = 0.15
_GROUPS = 3
"""Sentences about several objects, at most, of a video."""
_LENDERS = 12
"""Further videos of the seed, which the set does not hold, whose sentences are asked of the wrong videos."""
_ASKING = 10**6 + 1
"""Sets these draws apart from those of the videos."""


def write_mevis(
    root: Path, *, seed: int, n_videos: int, split: str = "valid_u", no_target: float = NO_TARGET
) -> tuple[int, int]:
    """Write `n_videos` videos of `seed` below `root` and return the numbers of expressions and frames.

    Beside the official files there is a `meta.json` with the category of every object.

    Args:
        no_target: share in [0, 1) of the sentences that are true of nothing in their video.

    Raises:
        InputError: fewer than one video, a share out of range, or a folder that cannot be written.
    """
    if n_videos < 1 or not 0 <= no_target < 1:
        raise InputError(f"{root}: n_videos {n_videos}, no_target {no_target}; give at least 1, and 0 to below 1")
    order = choose_videos(root / split / "JPEGImages", seed=seed, n_videos=n_videos)
    strangers = [
        (expression.text, video.categories[expression.object_id - 1])
        for video in (make_video(seed, n_videos + place) for place in range(_LENDERS))
        for expression in video.expressions
        if expression.kind == "appearance"
    ]
    expressions: dict[str, Any] = {}
    masks: dict[str, list[dict[str, Any] | None]] = {}
    objects: dict[str, Any] = {}
    with writing(root):
        for index in order:
            video = make_video(seed, index)
            frames = frame_names(index, len(video.frames))
            write_frames(root / split, video, frames)
            first = len(masks)
            masks |= {str(first + place): _run_lengths(video, place + 1) for place in range(len(video.categories))}
            categories = {str(first + place): {"category": name} for place, name in enumerate(video.categories)}
            objects[video.id] = {"objects": categories}
            random = np.random.default_rng([seed, index, _ASKING])
            lines = _mix(video, strangers, no_target / (1 - no_target), random)
            # Annotation `first + k` is the object k + 1 of the video.
            entries = {
                str(number): {"exp": text, "obj_id": places, "anno_id": [first + place for place in places]}
                for number, (text, places) in enumerate(lines)
            }
            expressions[video.id] = {"expressions": entries, "frames": list(frames)}
    write_atomically(root / split / "mask_dict.json", to_json(masks))
    write_atomically(root / split / "meta.json", to_json({"videos": objects}))
    write_atomically(root / split / "meta_expressions_v2.json", to_json({"videos": expressions}))
    return count_entries(expressions)


def _mix(
    video: SyntheticVideo, strangers: Sequence[tuple[str, str]], chance: float, random: np.random.Generator
) -> list[tuple[str, list[int]]]:
    """Return sentences about one or several objects, by places from 0, mixed with some that name a shape not shown."""
    absent = [
        text
        for text, shape in strangers
        if shape not in video.categories and any(noun in text.split() for noun in NOUNS[shape])
    ]
    lines = [(expression.text, [expression.object_id - 1]) for expression in video.expressions]
    for sentence in write_group_sentences(video.scene, random, most=_GROUPS):
        lines.insert(int(random.integers(len(lines) + 1)), (sentence.text, sorted(sentence.things)))
    mixed: list[tuple[str, list[int]]] = []
    for line in lines:
        mixed.append(line)
        if absent and random.random() < chance:
            mixed.append((str(random.choice(absent)), []))
    return mixed


def _run_lengths(video: SyntheticVideo, value: int) -> list[dict[str, Any] | None]:
    """Return the masks of one object; None where a frame does not show it, as in the official file."""
    found: list[dict[str, Any] | None] = []
    for labels in video.index_masks:
        mask = labels == value
        encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
        shown = {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode()}
        found.append(shown if mask.any() else None)
    return found
