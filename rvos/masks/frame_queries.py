"""Every mask that a network offers for a sentence in one frame, as average precision ranks them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos.errors import InputError
from rvos.settings.problems import count


@dataclass(frozen=True, slots=True, eq=False)
class FrameQueries:
    """The masks of all queries of a network in one frame.

    Args:
        frame: index of the frame.
        runs: COCO compressed run lengths of Q masks at the original frame size.
        scores: `(Q,)` float32, higher is better.

    Raises:
        InputError: not one finite score for each mask.
    """

    frame: int
    runs: tuple[bytes, ...]
    scores: NDArray[np.float32]

    def __post_init__(self) -> None:
        if self.scores.shape != (len(self.runs),) or self.scores.dtype != np.float32:
            raise InputError(
                f"frame {self.frame}: {count(len(self.runs), 'query', 'queries')} but scores of {self.scores.dtype} "
                f"and shape {self.scores.shape}; give one float32 for each"
            )
        if not np.isfinite(self.scores).all():
            raise InputError(f"frame {self.frame}: scores of queries are not finite; check what made them")
