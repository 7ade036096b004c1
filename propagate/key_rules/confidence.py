"""The key rule `confidence`: the frame that is surest of its mask."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from propagate.key_rules.base import KeyRule
from propagate.key_rules.merits import measure_confidence
from rvos.errors import InputError
from rvos.masks.mask_sequences import MaskSequence


@dataclass(frozen=True, slots=True, kw_only=True)
class SurestMask(KeyRule):
    """The frame with the highest mean probability inside its mask, the first on ties."""

    rule: ClassVar[str] = "confidence"
    reads_soft: ClassVar[bool] = True
    needs_soft: ClassVar[bool] = True

    def pick(self, sequence: MaskSequence) -> int:
        """See `KeyRule`."""
        if sequence.soft is None:
            raise InputError(
                f"{sequence.video}/{sequence.expression}: key frames by confidence need soft maps; set keep_soft: true "
                "where these masks are made"
            )
        confidence = measure_confidence(sequence.soft)
        return int(confidence.argmax()) if confidence.any() else sequence.pick_key_frame()
