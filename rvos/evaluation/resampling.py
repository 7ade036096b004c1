"""The one bootstrap: how far a gain would go on other videos, drawn with replacement from those that there are.

The draws of a number of videos are always the same ones: only so do the differences of two of them belong together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
DRAWS = 2000
_LIMITS = (2.5, 97.5)


def draw(n_units: int, *, n_draws: int = DRAWS, seed: int = 0) -> NDArray[np.int64]:
    """Return how often each unit is drawn, `(D, N)`; every row sums to N."""
    return np.random.default_rng(seed).multinomial(n_units, np.full(n_units, 1 / n_units), n_draws)


def find_limits(gains: Values) -> tuple[float, float]:
    """Return the 95 % interval of a gain by its draws `(D,)`."""
    low, high = np.percentile(gains, _LIMITS)
    return float(low), float(high)


def resample_gain(differences: Values, counts: NDArray[np.int64], *, seed: int = 0) -> tuple[float, float]:
    """Return the 95 % interval of a mean difference over expressions, videos drawn with replacement.

    Args:
        differences: for each video the sum over its expressions.
        counts: expressions of each video.
    """
    drawn = draw(len(counts), seed=seed)
    return find_limits((drawn @ differences) / np.maximum(drawn @ counts, 1))
