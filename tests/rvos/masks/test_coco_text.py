"""Sums along all runs of a sequence."""

from __future__ import annotations

import numpy as np
import pytest

from rvos.masks.coco_text import SPREADS, accumulate, accumulate_spread


@pytest.mark.parametrize("kind", [np.int32, np.int64])
@pytest.mark.parametrize("operation", [np.add, np.bitwise_xor])
def test_totals_are_the_same_however_they_lie(operation: np.ufunc, kind: type[np.signedinteger]) -> None:
    values = np.random.default_rng(0).integers(-9, 9, 1001).astype(kind)
    for own in (values, values[::2], values[:0]):
        expected = operation.accumulate(own)
        found = [accumulate_spread(operation, own, spread) for spread in SPREADS]
        for totals in (*found, accumulate(operation, own)):
            assert totals.dtype == kind
            assert np.array_equal(totals, expected)
