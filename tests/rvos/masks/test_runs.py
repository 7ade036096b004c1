"""Runs of whole sequences: equal to the COCO library's, and safe on damaged text."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from rvos.errors import InputError
from rvos.masks.mask_sequences import encode
from rvos.masks.runs import Runs, intersect, tracklet_iou

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


@given(st.lists(masks_strategy, max_size=4), st.data())
@settings(max_examples=100, deadline=None)
def test_sequences_read_together_are_those_read_one_by_one(some: list[np.ndarray], data: st.DataObject) -> None:
    some = [masks for masks in some if masks.shape[1:] == some[0].shape[1:]]
    some += [data.draw(hnp.arrays(np.bool_, (n, *some[0].shape[1:]))) for n in (1, 3)] if some else []
    size = some[0].shape[1:] if some else (2, 3)
    together = Runs.decode_all([encode(masks) for masks in some], size)
    for masks, runs in zip(some, together, strict=True):
        expected = Runs.from_masks(masks)
        assert runs.edges.tolist() == expected.edges.tolist()
        assert (runs.n_frames, runs.size) == (len(masks), size)


def test_a_bad_mask_among_several_sequences_is_named_by_its_own_frame() -> None:
    good, bad = (
        encode(np.ones((2, 3, 4), bool)),
        (*encode(np.zeros((1, 3, 4), bool)), *encode(np.ones((1, 3, 5), bool))),
    )
    with pytest.raises(InputError, match=r"run lengths of frame 1: 15 pixels, expected 12"):
        Runs.decode_all([good, bad, good], (3, 4))


def test_numbers_that_leave_the_range_of_the_integers_are_refused() -> None:
    """Sums are kept in 32 bits; 17 runs of 2 ** 28 pixels give the right sum but for 2 ** 32."""
    height = width = 1 << 14
    full = b"".join(_number(number) for number in (0, height * width))
    assert Runs.decode([full], (height, width)).area() == height * width
    with pytest.raises(InputError, match="far more than"):
        Runs.decode([full + _number(0) * 32], (height, width))


def _number(value: int) -> bytes:
    """Return the characters of a number of at least 0."""
    digits = []
    while True:
        digits.append(value & 31)
        value >>= 5
        if not value and digits[-1] < 16:
            return bytes(48 + digit + 32 * (place < len(digits) - 1) for place, digit in enumerate(digits))


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
