"""The one bootstrap: how far a gain would go on other videos, drawn with replacement from those that there are.

The draws of a number of videos are always the same ones: only so do the differences of two of them belong together.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
DRAWS = 2000
FEWEST_VIDEOS = 5
"""Below this an interval would say no more than how few videos there are."""
Limits = tuple[float | None, float | None]
"""Lower and upper end of an interval; both None where too few videos tell."""
_LIMITS = (2.5, 97.5)


def draw(n_units: int, *, n_draws: int = DRAWS, seed: int = 0) -> NDArray[np.int64]:
    """Return how often each unit is drawn, `(D, N)`; every row sums to N."""
    return np.random.default_rng(seed).multinomial(n_units, np.full(n_units, 1 / n_units), n_draws)


def find_limits(gains: Values, n_videos: int) -> Limits:
    """Return the 95 % interval of a gain by its draws `(D,)`, NaN where one has none; none below five videos."""
    known = gains[~np.isnan(gains)]
    if n_videos < FEWEST_VIDEOS or not known.size:
        return None, None
    low, high = np.percentile(known, _LIMITS)
    return float(low), float(high)


def resample_gain(differences: Values, counts: NDArray[np.int64] | Values, *, seed: int = 0) -> Limits:
    """Return the 95 % interval of a mean difference, from its sum and number of expressions a video, videos redrawn."""
    drawn = draw(len(counts), seed=seed)
    return find_limits((drawn @ differences) / np.maximum(drawn @ counts, 1), len(counts))


def show_limits(low: float | None, high: float | None) -> str | None:
    """Return an interval as tables show it; None where there is none."""
    return None if low is None or high is None else f"[{low:+.2f}, {high:+.2f}]"
