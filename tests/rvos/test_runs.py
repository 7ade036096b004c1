"""Runs of whole sequences: equal to the COCO library's, and safe on damaged text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rvos.errors import InputError
from rvos.mask_sequences import encode
from rvos.runs import Runs, intersect, tracklet_iou

masks_strategy = hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9).flatmap(
    lambda shape: hnp.arrays(np.bool_, shape)
)


@given(masks_strategy)
@settings(max_examples=150, deadline=None)
def test_runs_come_back_as_the_coco_library_writes_them(masks: np.ndarray) -> None:
    counts = encode(masks)
    runs = Runs.decode(counts, masks.shape[1:])
    assert runs.encode() == counts
    assert runs.areas().tolist() == masks.sum((1, 2)).tolist()


def test_long_runs_need_several_characters() -> None:
    masks = np.zeros((2, 1000, 2000), bool)
    masks[0, 10:900, 40:1900] = True
    masks[1, -1, -1] = True
    counts = encode(masks)
    assert Runs.decode(counts, (1000, 2000)).encode() == counts


@given(masks_strategy, st.data())
@settings(max_examples=80, deadline=None)
def test_overlap_equals_the_dense_one(masks: np.ndarray, data: st.DataObject) -> None:
    other = data.draw(hnp.arrays(np.bool_, masks.shape))
    a, b = (Runs.decode(encode(m), masks.shape[1:]) for m in (masks, other))
    assert intersect(a, b) == intersect(b, a) == int((masks & other).sum())
    union = int((masks | other).sum())
    assert tracklet_iou(a, b) == ((masks & other).sum() / union if union else 0.0)


@given(st.lists(st.binary(max_size=12), min_size=1, max_size=3))
@settings(max_examples=200, deadline=None)
def test_damaged_text_is_refused_or_covers_the_frame(counts: list[bytes]) -> None:
    try:
        runs = Runs.decode(counts, (3, 4))
    except InputError:
        return
    assert runs.n_frames == len(counts)
    assert runs.areas().max() <= 12


@pytest.mark.parametrize(
    "text", [b"", b"\xff", b"P", b"PPPPPPPP0", b"5"], ids=["empty", "foreign", "cut", "long", "short"]
)
def test_malformed_text_is_refused(text: bytes) -> None:
    with pytest.raises(InputError, match="run lengths"):
        Runs.decode([text], (3, 4))
