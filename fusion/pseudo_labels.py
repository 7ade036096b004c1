"""Masks of sentences as labels to train on: index maps, one object a pixel, and the object that each sentence names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos.errors import FusionError
from rvos.masks.mask_sequences import MaskSequence
from rvos.settings import count

MOST_OBJECTS = 254
"""Of an index map; 255 is void."""
_LEAST_SEEN = 0.5
EMPTY, UNSURE, COVERED = "without a mask", "below the least score", "covered by others"


@dataclass(frozen=True, slots=True, eq=False)
class PseudoLabels:
    """Labels of one video.

    Args:
        labels: `(T, H, W)` uint8, 0 = background; objects count from 1 in the order of their first sentences.
        objects: expression -> object.
        dropped: expression -> why it is no label.
    """

    labels: NDArray[np.uint8]
    objects: Mapping[str, int]
    dropped: Mapping[str, str]


def paint_labels(sequences: Sequence[MaskSequence], *, least_score: float | None = None) -> PseudoLabels:
    """Return the labels that the masks of a video's sentences give.

    Sentences of equal masks name one object, as those of a group do after a fusion. A pixel belongs to the object of
    the highest mean score; an object that others leave less than half of its pixels is dropped, and covers nothing.

    Args:
        sequences: of one video, with equal frames and size.
        least_score: sentences of a lower mean score are dropped; None: none are.

    Raises:
        FusionError: no sentences, scores to compare where there are none, or more objects than an index map holds.
    """
    own, dropped = gather_objects(sequences, least_score=least_score)
    first = sequences[0]
    if len(own) > MOST_OBJECTS:
        raise FusionError(
            f"{first.video}: {count(len(own), 'object')}, an index map holds {MOST_OBJECTS}; drop the video"
        )
    # The object of every pixel, counted from 1; the surest choose first, the first of equals.
    owner = np.zeros((first.n_frames, *first.size), np.int64)
    scores = [max(float(one.scores.mean(dtype=np.float64)) for one in row) for row in own]
    for number in sorted(range(len(own)), key=lambda number: -scores[number]):
        mask = own[number][0].masks()
        free = mask & (owner == 0)
        if free.sum() >= _LEAST_SEEN * mask.sum():
            owner[free] = number + 1
    # Renumbered, so that numbers have no gaps.
    kept = [place for place in range(len(own)) if (owner == place + 1).any()]
    numbers = np.zeros(len(own) + 1, np.uint8)
    numbers[[place + 1 for place in kept]] = range(1, len(kept) + 1)
    dropped |= {one.expression: COVERED for place, row in enumerate(own) if place not in kept for one in row}
    named = {one.expression: int(numbers[place + 1]) for place in kept for one in own[place]}
    return PseudoLabels(numbers[owner], named, dropped)


def gather_objects(
    sequences: Sequence[MaskSequence], *, least_score: float | None = None
) -> tuple[list[list[MaskSequence]], dict[str, str]]:
    """Return the sentences of each object, those of equal masks, and why the others are no labels.

    Objects may overlap; arguments and errors as in `paint_labels`.
    """
    if not sequences:
        raise FusionError("labels of a video without sentences; drop the video")
    dropped = {sequence.expression: reason for sequence in sequences if (reason := _refuse(sequence, least_score))}
    objects: dict[tuple[bytes, ...], list[MaskSequence]] = {}
    for sequence in sequences:
        if sequence.expression not in dropped:
            objects.setdefault(sequence.runs, []).append(sequence)
    return list(objects.values()), dropped


def _refuse(sequence: MaskSequence, least_score: float | None) -> str | None:
    if least_score is not None and not sequence.scored:
        raise FusionError(
            f"{sequence.video}/{sequence.expression}: these masks came without scores; give no least score"
        )
    if not any(mask.any() for mask in sequence.masks()):
        return EMPTY
    return UNSURE if least_score is not None and sequence.scores.mean() < least_score else None
