"""Masks that are compared once for grouping and for assignment: the same answers as compared for each."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fusion.groups import Group
from fusion.member_masks import Member, MemberMasks
from fusion.methods.assign import Assign
from fusion.rules import fuse_video
from fusion.runs import count_hits
from fusion.votes import read_members
from rvos.errors import FusionError
from rvos.masks.mask_sequences import MaskSequence

# Up to 24 sequences: more than are cut together, too.
SEQUENCES = st.tuples(st.integers(2, 4), st.integers(1, 6))


def read(masks: np.ndarray) -> list[Member]:
    """Return members `(M, E, T, H, W)` by expression."""
    frames = tuple(str(t) for t in range(masks.shape[2]))
    scores = np.zeros(len(frames), np.float32)
    return [
        {
            str(e): MaskSequence.from_masks(own, video="v", expression=str(e), frames=frames, scores=scores)
            for e, own in enumerate(member)
        }
        for member in masks
    ]


@given(SEQUENCES.flatmap(lambda shape: arrays(np.bool_, (*shape, 2, 3, 5))), st.data())
@settings(max_examples=60, deadline=None)
def test_compared_once_gives_what_compared_twice_gives(masks: np.ndarray, data: st.DataObject) -> None:
    members = read(masks)
    ids = list(members[0])
    once = MemberMasks.read(members, ids)
    assert np.array_equal(once.count_hits(), count_hits(read_members([member.values() for member in members]), ids))
    order = data.draw(st.permutations(ids))
    cut = data.draw(st.integers(0, len(ids)))
    groups = [Group(tuple(own)) for own in (order[:cut], order[cut:]) if own]
    rule = Assign(tuple(str(m) for m in range(len(members))))
    fused = [list(fuse_video(members, groups, rule, masks=given)) for given in (once, None)]
    assert [s.runs for s in fused[0]] == [s.runs for s in fused[1]]


def test_one_member_cannot_be_compared() -> None:
    alone = MemberMasks.read(read(np.ones((1, 2, 1, 3, 5), bool)), ["0", "1"])
    with pytest.raises(FusionError, match="name at least two"):
        alone.count_hits()
