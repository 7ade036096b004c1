"""Sentences about several objects and about none, mixed with those about one, and the objects as run lengths."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco

from rvos_fusion.synthetic.language.negatives import WRONGS, Wrong, write_falsehood
from rvos_fusion.synthetic.language.sentences import NOUNS
from rvos_fusion.synthetic.language.several import write_group_sentences
from rvos_fusion.synthetic.synthesis import SyntheticVideo, make_video

NO_TARGET = 0.15
HARD = 0.5
_GROUPS = 3
"""Sentences about several objects, at most, of a video."""
_LENDERS = 12
"""Further videos of the seed, which the set does not hold, whose sentences are asked of the wrong videos."""
_ASKING = 10**6 + 1
"""Sets these draws apart from those of the videos."""


@dataclass(frozen=True, slots=True)
class MixedSentence:
    """A sentence, the objects that it means, by places from 0, and what decides it, or is wrong about it."""

    text: str
    places: list[int]
    kind: str


class Mixer:
    """Mixes sentences about several objects and about none among those about one, in the wanted shares over a set.

    Args:
        no_target: share of the sentences that are true of nothing.
        hard: share of these that speak of an object which is there, as many of each sort of wrong; the others are of
            further videos of the seed, and name a shape that the video does not show.
    """

    def __init__(self, seed: int, n_videos: int, *, no_target: float, hard: float) -> None:
        self._seed, self._chance, self._hard = seed, no_target / (1 - no_target), hard
        self._strangers = [
            (expression.text, video.categories[expression.object_id - 1])
            for video in (make_video(seed, n_videos + place) for place in range(_LENDERS))
            for expression in video.expressions
            if expression.kind == "appearance"
        ]
        self._wrong: dict[Wrong, int] = dict.fromkeys(WRONGS, 0)
        self._n_absent = 0

    def mix(self, video: SyntheticVideo, index: int) -> list[MixedSentence]:
        """Return the sentences of a video, of which `index` is the number."""
        random = np.random.default_rng([self._seed, index, _ASKING])
        absent = [
            text
            for text, shape in self._strangers
            if shape not in video.categories and any(noun in text.split() for noun in NOUNS[shape])
        ]
        lines = [MixedSentence(one.text, [one.object_id - 1], one.kind) for one in video.expressions]
        for sentence in write_group_sentences(video.scene, random, most=_GROUPS):
            place = int(random.integers(len(lines) + 1))
            lines.insert(place, MixedSentence(sentence.text, sorted(sentence.things), sentence.kind))
        mixed: list[MixedSentence] = []
        for line in lines:
            mixed.append(line)
            if absent and random.random() < self._chance:
                mixed.append(self._write_without(video, absent, [one.text for one in mixed], random))
        return mixed

    def _write_without(
        self, video: SyntheticVideo, absent: Sequence[str], said: Sequence[str], random: np.random.Generator
    ) -> MixedSentence:
        """Return a sentence without target, of the sort that is behind its share."""
        n_hard = sum(self._wrong.values())
        # Nothing is drawn for a share of 0: the others then are the same as in sets without hard ones.
        if n_hard < self._hard * (n_hard + self._n_absent + 1):
            found = write_falsehood(video.scene, random, counts=self._wrong, said=said)
            if found is not None:
                return MixedSentence(found.text, [], f"wrong {found.wrong}")
        self._n_absent += 1
        return MixedSentence(str(random.choice(absent)), [], "absent")


def encode_object(video: SyntheticVideo, value: int) -> list[dict[str, Any] | None]:
    """Return the masks of one object; None where a frame does not show it, as in the official files."""
    masks = video.index_masks == value
    return [encode_mask(mask) if mask.any() else None for mask in masks]


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """Return the run lengths of a mask `(H, W)` in COCO's form."""
    encoded = coco.encode(np.asfortranarray(mask.astype(np.uint8)))
    return {"size": [int(side) for side in encoded["size"]], "counts": encoded["counts"].decode()}
