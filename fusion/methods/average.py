"""Soft fusion: the weighted mean of the members' probabilities, thresholded at frame size."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from fusion.assignment import ScoreFit
from fusion.methods.singles import RuleWithSingles
from fusion.rules import Rows, list_present
from rvos.errors import FusionError
from rvos.masks.mask_sequences import MaskSequence, encode

_EVEN = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Average(RuleWithSingles):
    """A mean of probabilities; masks without soft maps are probabilities 0 and 1.

    Args:
        threshold: probability to exceed; exactly this one is background. None: 0.5.
    """

    method: ClassVar[str] = "average"
    cheap: ClassVar[str] = "threshold"
    needs_soft: ClassVar[bool] = True

    def __post_init__(self) -> None:
        RuleWithSingles.__post_init__(self)
        stated = (self.threshold, self.singles.threshold if self.singles else None)
        if any(threshold is not None and threshold.kind == "count" for threshold in stated):
            raise FusionError("an average needs a probability such as 0.5 as threshold, not a count")

    def list_values(self, sizes: Collection[int]) -> Sequence[str]:
        """See `FusionRule`."""
        return [f"{step / 20:g}" for step in range(1, 20)]

    def own_value(self) -> str:
        """See `FusionRule`."""
        return f"{_EVEN if self.threshold is None else float(self.threshold.value):g}"

    @classmethod
    def fuse_group_by_all(
        cls, rules: Sequence[Self], rows: Rows, fits: Sequence[ScoreFit] | None
    ) -> list[tuple[bytes, ...]]:
        """See `FusionRule`; a frame is averaged once for all rules of the same weights, and only one is ever dense."""
        present = list_present(rows)
        everyone = [sequence for _, sequence in present]
        asked: dict[tuple[int, ...], dict[float, list[bytes]]] = {}
        keys = []
        for rule in rules:
            stated, of_all = rule.threshold_for(len(rows)), rule.integer_weights()
            weights = tuple(of_all[member] for member, _ in present)
            keys.append((weights, _EVEN if stated is None else float(stated.value)))
            if rule.find_only(len(rows)) is None:
                asked.setdefault(weights, {})[keys[-1][1]] = []
        for weights, kept in asked.items():
            shares = np.asarray(weights, np.float64) / sum(weights)
            for index in range(everyone[0].n_frames):
                mean = _average_frame(everyone, shares, index)
                for threshold, frames in kept.items():
                    frames.append(encode((mean > threshold)[None])[0])
        return [
            tuple(asked[weights][threshold]) if (only := rule.take_only(rows)) is None else only
            for rule, (weights, threshold) in zip(rules, keys, strict=True)
        ]


def _average_frame(members: Sequence[MaskSequence], shares: NDArray[np.float64], index: int) -> NDArray[np.float32]:
    """Return the mean probabilities `(H, W)` of one frame."""
    total = np.zeros(members[0].size, np.float32)
    for member, share in zip(members, shares, strict=True):
        if member.soft is None:
            total += np.float32(share) * member.mask(index)
        else:
            total += np.float32(share) * member.soft.probabilities(index, member.size)
    return total
