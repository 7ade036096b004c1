"""Votes on runs equal dense votes."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from fusion.votes import count_votes, vote
from rvos.errors import FusionError
from rvos.masks.mask_sequences import MaskSequence, encode
from rvos.masks.runs import Runs


def as_runs(masks: np.ndarray) -> Runs:
    return Runs.decode(encode(masks), masks.shape[1:])


def sequence(masks: np.ndarray, expression: str = "0") -> MaskSequence:
    frames = tuple(f"{index:05d}" for index in range(len(masks)))
    scores = np.zeros(len(masks), np.float32)
    return MaskSequence.from_masks(masks, video="v", expression=expression, frames=frames, scores=scores)


stacks = hnp.array_shapes(min_dims=4, max_dims=4, min_side=1, max_side=7).flatmap(
    lambda shape: hnp.arrays(np.bool_, shape)
)


@given(stacks, st.data())
@settings(max_examples=150, deadline=None)
def test_votes_on_runs_equal_dense_votes(stack: np.ndarray, data: st.DataObject) -> None:
    weights = data.draw(st.lists(st.integers(1, 4), min_size=len(stack), max_size=len(stack)))
    needed = data.draw(st.integers(1, sum(weights)))
    dense = np.tensordot(np.asarray(weights), stack.astype(np.int64), axes=1) >= needed
    fused = count_votes([as_runs(masks) for masks in stack], weights).keep(needed)
    assert fused.encode() == encode(dense)


def test_tie_counts_as_foreground() -> None:
    a, b = np.zeros((2, 1, 2, 3), bool)
    a[0, 0, 0] = True
    assert vote([sequence(a), sequence(b)], needed=1).areas().tolist() == [1]
    assert vote([sequence(a), sequence(b)], needed=2).areas().tolist() == [0]


def test_full_masks_of_neighbouring_frames_stay_apart() -> None:
    full = np.ones((3, 2, 2), bool)
    assert vote([sequence(full)], needed=1).encode() == encode(full)


@pytest.mark.parametrize("needed", [0, 3])
def test_a_vote_out_of_reach_is_refused(needed: int) -> None:
    mask = np.ones((1, 2, 2), bool)
    with pytest.raises(FusionError, match="choose 1 to 2"):
        vote([sequence(mask), sequence(mask)], needed=needed)


def test_no_members_are_refused() -> None:
    with pytest.raises(FusionError, match="without masks"):
        count_votes([])


def test_unequal_members_are_named() -> None:
    with pytest.raises(FusionError, match=r"v/1 has \(2, 2, 2\) but v/0 has \(1, 2, 2\)"):
        vote([sequence(np.ones((1, 2, 2), bool)), sequence(np.ones((2, 2, 2), bool), "1")], needed=1)
