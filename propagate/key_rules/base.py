"""What rules for key frames have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from rvos.masks.mask_sequences import MaskSequence
from rvos.settings import Range


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRule(ABC):
    """`key:` of a propagation: which frames it starts from.

    Args:
        of: node whose sequences decide; None: those that are propagated.
        references: frames to start from at most, the key frame among them, see `pick_start_frames`.
    """

    rule: ClassVar[str]
    """Its name in the table of rules."""
    reads_soft: ClassVar[bool] = False
    """Whether it looks at soft maps, where they are there."""
    needs_soft: ClassVar[bool] = False
    """Whether it can do nothing without soft maps."""

    of: str | None = None
    references: Annotated[int, Range(least=1)] = 1

    @property
    def n_references(self) -> int:
        """Frames that a single propagation starts from at most."""
        return self.references

    @abstractmethod
    def pick(self, sequence: MaskSequence) -> int:
        """Return the key frame of a sequence. Raises InputError: soft maps that the rule needs are not there."""

    def list_starts(self, source: MaskSequence, deciding: MaskSequence) -> tuple[MaskSequence, ...]:
        """Return what is propagated for a sequence: itself, without soft maps, once for each key frame to be tried."""
        return (replace(source, key_frame=self.pick(deciding), soft=None),)

    def choose(self, source: MaskSequence, carried: Sequence[MaskSequence]) -> MaskSequence:
        """Return one of the propagated sequences, of which there is one for every start."""
        return carried[0]
