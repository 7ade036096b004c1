"""Sentences about several objects and about none, mixed with those about one, and the objects as run lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from rvos_fusion.synthetic.language.sentences import NOUNS
from rvos_fusion.synthetic.language.several import write_group_sentences
from rvos_fusion.synthetic.synthesis import SyntheticVideo, make_video

NO_TARGET = 0.15
_GROUPS = 3
"""Sentences about several objects, at most, of a video."""
_LENDERS = 12
"""Further videos of the seed, which the set does not hold, whose sentences are asked of the wrong videos."""
_ASKING = 10**6 + 1
"""Sets these draws apart from those of the videos."""


def list_strangers(seed: int, n_videos: int) -> list[tuple[str, str]]:
    """Return sentences of videos that a set of `n_videos` does not hold, each with the shape that it names."""
    return [
        (expression.text, video.categories[expression.object_id - 1])
        for video in (make_video(seed, n_videos + place) for place in range(_LENDERS))
        for expression in video.expressions
        if expression.kind == "appearance"
    ]


def mix_sentences(
    video: SyntheticVideo, strangers: Sequence[tuple[str, str]], *, no_target: float, draws: tuple[int, int]
) -> list[tuple[str, list[int]]]:
    """Return sentences about one or several objects, by places from 0, mixed with some that name a shape not shown.

    Args:
        no_target: share of the sentences that are true of nothing.
        draws: seed and index of the video.
    """
    random, chance = np.random.default_rng([*draws, _ASKING]), no_target / (1 - no_target)
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


def encode_object(video: SyntheticVideo, value: int) -> list[dict[str, Any] | None]:
    """Return the masks of one object; None where a frame does not show it, as in the official files."""
    masks = video.index_masks == value
    return [encode_mask(mask) if mask.any() else None for mask in masks]


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the run lengths of a mask `(H, W)` in COCO's form."""
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode()}
