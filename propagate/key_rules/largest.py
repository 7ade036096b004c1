"""The key rule `largest`: the frame with the largest mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from propagate.key_rules.base import KeyRule
from rvos.masks.mask_sequences import MaskSequence


@dataclass(frozen=True, slots=True, kw_only=True)
class LargestMask(KeyRule):
    """The frame with the largest mask, the first on ties; without any mask that of the scores."""

    rule: ClassVar[str] = "largest"

    def pick(self, sequence: MaskSequence) -> int:
        """See `KeyRule`."""
        areas = sequence.as_runs().areas()
        return int(areas.argmax()) if areas.any() else sequence.pick_key_frame()
