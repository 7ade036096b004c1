"""Synthetic videos in memory: a seed and an index in, frames, index masks and expressions out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos_fusion.synthetic.language.sentences import Kind, write_sentences
from rvos_fusion.synthetic.pictures.drawing import draw
from rvos_fusion.synthetic.scenes import Scene, sample_scene

_ATTEMPTS = 500
_ODD_CHANCE = 0.08
_LEAST_AREA = 24
_LEAST_SEEN = 0.5
_LEAST_VISIBLE = 0.4


@dataclass(frozen=True, slots=True)
class SyntheticExpression:
    """An expression in `WORDS` that is true of one object, from 1 in the masks, and its kind: what decides."""

    text: str
    object_id: int
    kind: Kind


@dataclass(frozen=True, slots=True, eq=False)
class SyntheticVideo:
    """One video with its truth.

    Args:
        id: ten hexadecimal digits, a function of seed and index.
        frames: `(T, H, W, 3)` uint8, RGB.
        index_masks: `(T, H, W)` uint8, 0 background, i the object with id i.
        categories: shape of each object, in the order of the ids.
        expressions: two for each object, neighbours in the list; now and then the last object has one.
        scene: what is drawn; its thing k is the object with id k + 1.
    """

    id: str
    frames: NDArray[np.uint8]
    index_masks: NDArray[np.uint8]
    categories: tuple[str, ...]
    expressions: tuple[SyntheticExpression, ...]
    scene: Scene


def make_video(seed: int, index: int, *, has_cut: bool = False) -> SyntheticVideo:
    """Return video `index` of the endless set of `seed`, always the same bytes; InputError: a negative number.

    Args:
        has_cut: two shots instead of one.
    """
    if seed < 0 or index < 0:
        raise InputError(f"seed {seed}, video {index}: negative; give whole numbers from 0")
    for attempt in range(_ATTEMPTS):
        random = np.random.default_rng([seed, index, attempt])
        scene = sample_scene(random, has_cut=has_cut)
        sentences = scene and write_sentences(scene, random)
        if not scene or not sentences:
            continue
        frames, masks = draw(scene, random)
        if _all_seen(scene, masks):
            if random.random() < _ODD_CHANCE:
                sentences = sentences[:-1]
            expressions = tuple(SyntheticExpression(one.text, one.thing + 1, one.kind) for one in sentences)
            categories = tuple(thing.look.shape for thing in scene.things)
            return SyntheticVideo(video_id(seed, index), frames, masks, categories, expressions, scene)
    raise InputError(f"seed {seed}, video {index}: no scene in {_ATTEMPTS} attempts; take another seed")


def video_id(seed: int, index: int) -> str:
    """Return the name of a video: ten hexadecimal digits."""
    return hashlib.sha256(f"{seed}/{index}".encode()).hexdigest()[:10]


def _all_seen(scene: Scene, masks: NDArray[np.uint8]) -> bool:
    """Whether each object shows enough of itself in at least half of the frames."""
    flat = masks.reshape(len(masks), -1)
    for index, thing in enumerate(scene.things, start=1):
        areas = (flat == index).sum(axis=1)
        typical = float(np.median(np.sort(areas)[len(areas) // 2 :]))
        seen = areas >= max(_LEAST_AREA, _LEAST_VISIBLE * typical)
        growing = thing.motion in ("grow", "shrink")
        if np.mean((areas >= _LEAST_AREA) if growing else seen) < _LEAST_SEEN:
            return False
    return True
