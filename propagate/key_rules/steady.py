"""The key rule `steady`: the frame that scores well, is sure of its mask, and marks about as much as the others do.

The frame with the best score often shows two objects as one, or half of one; its faults travel through the whole video.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from propagate.key_rules.base import KeyRule
from propagate.key_rules.merits import rank_steady_frames
from rvos.masks.mask_sequences import MaskSequence


@dataclass(frozen=True, slots=True, kw_only=True)
class SteadiestFrame(KeyRule):
    """The first of `rank_steady_frames`; without any mask that of the scores."""

    rule: ClassVar[str] = "steady"
    reads_soft: ClassVar[bool] = True

    def pick(self, sequence: MaskSequence) -> int:
        """See `KeyRule`."""
        ranked = rank_steady_frames(sequence)
        return ranked[0] if ranked else sequence.pick_key_frame()
