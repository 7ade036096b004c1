"""Runs as bits equal the dense masks, column by column."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rvos.masks.bit_masks import to_words
from rvos.masks.mask_sequences import encode
from rvos.masks.runs import Runs


def unpack(words: np.ndarray, height: int) -> np.ndarray:
    bits = np.unpackbits(words.view(np.uint8), axis=-1, bitorder="little")
    assert not bits[:, :, height:].any()
    return bits[:, :, :height].astype(bool).transpose(0, 2, 1)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.0, 0.02, 0.5, 0.98, 1.0]))
@settings(max_examples=60, deadline=None)
def test_bits_equal_the_masks(seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    shape = (int(random.integers(1, 4)), int(random.integers(1, 140)), int(random.integers(1, 6)))
    masks = random.random(shape) < share
    words = to_words(Runs.decode(encode(masks), shape[1:]))
    assert np.array_equal(unpack(words, shape[1]), masks)


@pytest.mark.parametrize("height", [63, 64, 65, 128])
def test_full_frames_stay_inside_their_rows(height: int) -> None:
    masks = np.ones((2, height, 3), bool)
    masks[0, 0, 0] = False
    assert np.array_equal(unpack(to_words(Runs.decode(encode(masks), (height, 3))), height), masks)
