"""How alike members are: whether they are right and wrong about the same sentences."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

RIGHT = 0.5
"""A sentence is right from this J on."""


def measure_likeness(is_right: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return Yule's Q of all pairs of `(M, E)` members, `(M, M)` in [-1, 1]; 1 with itself.

    1: right and wrong together; 0: independent; below: where one is wrong, the other is rather right. NaN where one is
    always right or always wrong, which says nothing.

    Source: Kuncheva and Whitaker, Measures of Diversity in Classifier Ensembles, 2003, section 2.1.
    """
    right = is_right.astype(np.float64)
    wrong = 1 - right
    alike = (right @ right.T) * (wrong @ wrong.T)
    unlike = (right @ wrong.T) * (wrong @ right.T)
    total = alike + unlike
    return np.divide(alike - unlike, total, out=np.full_like(total, np.nan), where=total > 0)
