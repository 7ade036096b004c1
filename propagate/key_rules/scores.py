"""The key rule `scores`: the key frame that the masks state, else the best-scored frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from propagate.key_rules.base import KeyRule
from rvos.masks.mask_sequences import MaskSequence


@dataclass(frozen=True, slots=True, kw_only=True)
class BestScore(KeyRule):
    """The stated key frame of a sequence, else the first frame with the highest score.

    Source: seed paper, Eq. 2.
    """

    rule: ClassVar[str] = "scores"

    def pick(self, sequence: MaskSequence) -> int:
        """See `KeyRule`."""
        return sequence.pick_key_frame()
