"""How the objects of a clip move, from their masks: a dense target that any labelled video gives for free."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

VALUES = 5
"""Step x, step y, whole way x, whole way y, growth."""
_LEAST_CELLS = 3
_REACH = 2


def object_motion(label: NDArray[np.uint8], *, n_objects: int) -> NDArray[np.float32]:
    """Return, for every object and frame, how its mask moves and grows, `(n_objects, T, VALUES)` float32.

    The first two values are the way of the centroid from two frames before to two frames after (less at the ends
    of the clip), the next two its way through the whole clip, each in cells of `label`; the last one is the
    logarithm of the area at the end over that at the start. A value is NaN where the object does not show enough.

    Args:
        label: `(T, h, w)`, 0 = background, i = object i.
    """
    length = len(label)
    rows, columns = (np.arange(side, dtype=np.float32) for side in label.shape[1:])
    found = np.full((n_objects, length, VALUES), np.nan, np.float32)
    before = np.maximum(np.arange(length) - _REACH, 0)
    after = np.minimum(np.arange(length) + _REACH, length - 1)
    for number in range(1, n_objects + 1):
        shown = (label == number).astype(np.float32)
        area = shown.sum((1, 2))
        area = np.where(area >= _LEAST_CELLS, area, np.nan)
        centre = np.stack([shown.sum(1) @ columns, shown.sum(2) @ rows], axis=1) / area[:, None]
        found[number - 1, :, :2] = centre[after] - centre[before]
        found[number - 1, :, 2:4] = centre[-1] - centre[0]
        found[number - 1, :, 4] = np.log(area[-1] / area[0])
    return found
