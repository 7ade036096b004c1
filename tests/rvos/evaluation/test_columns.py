"""Scores of masks by column equal those by row."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from rvos.evaluation import j_and_f, score
from rvos.evaluation.columns import pack_columns, trace_columns, trace_runs
from rvos.masks.bit_masks import to_words
from rvos.masks.mask_sequences import encode
from rvos.masks.runs import Runs


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.03, 0.5, 1.0]), st.booleans())
@settings(max_examples=60, deadline=None)
def test_scores_by_column_equal_those_by_row(seed: int, share: float, has_void: bool) -> None:
    random = np.random.default_rng(seed)
    shape = (int(random.integers(1, 4)), int(random.integers(1, 90)), int(random.integers(1, 150)))
    truth = random.random(shape) < 0.3
    truth[:, shape[1] // 3 :] = False
    masks = random.random(shape) < share
    void = random.random(shape) < 0.1 if has_void else None
    size = (shape[1], shape[2])
    void_words = None if void is None else pack_columns(void)
    j, f = score(
        trace_columns(pack_columns(truth), size, void_words),
        trace_columns(to_words(Runs.decode(encode(masks), size)), size, void_words),
    )
    expected = j_and_f(truth, masks, void)
    assert np.array_equal(j, expected[0])
    assert np.array_equal(f, expected[1])


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=60, deadline=None)
def test_masks_traced_side_by_side_score_as_alone(seed: int) -> None:
    random = np.random.default_rng(seed)
    shape = (int(random.integers(1, 4)), int(random.integers(1, 90)), int(random.integers(1, 150)))
    left, right = np.sort(random.integers(0, shape[2] + 1, 2))
    truth, void = random.random(shape) < 0.3, random.random(shape) < 0.1
    several = [random.random(shape) < share for share in (0.0, 0.02, 0.6, 1.0)]
    for masks in several:
        masks[:, :, :left] = masks[:, :, right:] = False
    words = pack_columns(void)
    traced = trace_columns(pack_columns(truth), shape[1:], words)
    together = trace_runs([Runs.decode(encode(masks), shape[1:]) for masks in several], words)
    for masks, outlines in zip(several, together, strict=True):
        for found, expected in zip(score(traced, outlines), j_and_f(truth, masks, void), strict=True):
            assert np.array_equal(found, expected)
