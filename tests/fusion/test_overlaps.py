"""Overlaps of all pairs against plain NumPy on pixels."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fusion.overlaps import TOGETHER, Pieces, Vote, are_near, intersect_all
from rvos.errors import FusionError
from rvos.masks.runs import Runs

MASKS = st.integers(0, 30).flatmap(lambda n: arrays(np.bool_, (n, 2, 3, 4)))


@given(MASKS)
@settings(max_examples=60, deadline=None)
def test_intersections_are_those_of_the_pixels(masks: np.ndarray) -> None:
    flat = masks.reshape(len(masks), 24).astype(int)
    assert np.array_equal(intersect_all([Runs.from_masks(mask) for mask in masks]), flat @ flat.T)


@given(MASKS)
@settings(max_examples=60, deadline=None)
def test_near_is_half_of_the_union(masks: np.ndarray) -> None:
    near = are_near([Runs.from_masks(mask) for mask in masks])
    for i, a in enumerate(masks):
        for j, b in enumerate(masks):
            union = int((a | b).sum())
            assert near[i, j] == (union > 0 and 2 * int((a & b).sum()) >= union)


@given(st.integers(1, TOGETHER).flatmap(lambda n: arrays(np.bool_, (n, 2, 3, 4))), st.data())
@settings(max_examples=100, deadline=None)
def test_votes_on_pieces_are_those_of_the_pixels(masks: np.ndarray, data: st.DataObject) -> None:
    weights = st.lists(st.integers(0, 3), min_size=len(masks), max_size=len(masks))
    votes = data.draw(st.lists(st.builds(Vote, weights, st.integers(1, 3 * len(masks))), max_size=TOGETHER))
    kept = Pieces.cut([Runs.from_masks(mask) for mask in masks]).keep(votes)
    for vote, runs in zip(votes, kept, strict=True):
        expected = Runs.from_masks(np.tensordot(vote.weights, masks, axes=1) >= vote.needed)
        assert runs.edges.tolist() == expected.edges.tolist()
        assert runs.encode() == expected.encode()


def test_many_sequences_that_rarely_change_need_more_than_one_table() -> None:
    masks = np.zeros((40, 1, 1, 40), bool)
    masks[np.arange(40), 0, 0, np.arange(40)] = True
    assert np.array_equal(intersect_all([Runs.from_masks(mask) for mask in masks]), np.eye(40))


def test_unequal_sizes_are_refused() -> None:
    small, large = (Runs.from_masks(np.ones((1, side, side), bool)) for side in (2, 3))
    with pytest.raises(FusionError, match="unequal frames or sizes"):
        intersect_all([small, large])
