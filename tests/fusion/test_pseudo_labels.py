"""Masks of sentences as labels: one object a pixel, sentences of equal masks name one object."""

from __future__ import annotations

import numpy as np
import pytest

from fusion.pseudo_labels import paint_labels
from rvos.errors import FusionError
from rvos.masks.mask_sequences import MaskSequence


def sequence(expression: str, columns: slice | None, score: float, *, scored: bool = True) -> MaskSequence:
    """Return masks of two frames of 4 x 10 pixels that mark whole columns."""
    masks = np.zeros((2, 4, 10), bool)
    if columns is not None:
        masks[:, :, columns] = True
    found = MaskSequence.from_masks(
        masks, video="v", expression=expression, frames=("a", "b"), scores=np.full(2, score, np.float32)
    )
    return (
        found if scored else MaskSequence("v", expression, ("a", "b"), (4, 10), found.runs, found.scores, scored=False)
    )


def columns(labels: np.ndarray) -> list[int]:
    assert (labels == labels[0, 0]).all()
    return labels[0, 0].tolist()


def test_sentences_of_equal_masks_name_one_object() -> None:
    found = paint_labels(
        [sequence("0", slice(0, 3), 0.5), sequence("1", slice(6, 8), 0.9), sequence("2", slice(0, 3), 0.1)]
    )
    assert found.objects == {"0": 1, "1": 2, "2": 1}
    assert columns(found.labels) == [1, 1, 1, 0, 0, 0, 2, 2, 0, 0]
    assert not found.dropped


def test_the_surer_object_has_what_both_mark() -> None:
    found = paint_labels([sequence("0", slice(0, 5), 0.4), sequence("1", slice(4, 8), 0.9)])
    assert columns(found.labels) == [1, 1, 1, 1, 2, 2, 2, 2, 0, 0]


def test_an_object_that_keeps_less_than_half_is_dropped_and_numbers_have_no_gap() -> None:
    found = paint_labels(
        [sequence("0", slice(2, 8), 0.4), sequence("1", slice(0, 5), 0.9), sequence("2", slice(5, 6), 0.8)]
    )
    # Sentence 0 would keep 2 of 6 columns.
    assert found.objects == {"1": 1, "2": 2}
    assert found.dropped == {"0": "covered by others"}
    assert columns(found.labels) == [1, 1, 1, 1, 1, 2, 0, 0, 0, 0]


def test_sentences_without_a_mask_or_with_a_low_score_are_no_labels() -> None:
    given = [sequence("0", None, 0.9), sequence("1", slice(0, 2), 0.3), sequence("2", slice(4, 6), 0.6)]
    found = paint_labels(given, least_score=0.5)
    assert found.objects == {"2": 1}
    assert found.dropped == {"0": "without a mask", "1": "below the least score"}


def test_what_cannot_be_labels_is_refused() -> None:
    with pytest.raises(FusionError, match="without sentences"):
        paint_labels([])
    with pytest.raises(FusionError, match="came without scores; give no least score"):
        paint_labels([sequence("0", slice(0, 2), 1.0, scored=False)], least_score=0.5)
    wide = []
    for index in range(255):
        masks = np.zeros((1, 1, 300), bool)
        masks[0, 0, index] = True
        one = np.ones(1, np.float32)
        wide.append(MaskSequence.from_masks(masks, video="v", expression=str(index), frames=("a",), scores=one))
    with pytest.raises(FusionError, match="255 objects, an index map holds 254"):
        paint_labels(wide)
