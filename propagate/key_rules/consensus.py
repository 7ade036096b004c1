"""The key rule `consensus`: several frames start alone, and the start that the other frames agree with is kept.

A network that mistakes one object for another for some frames marks the right one in most. Carried through the video,
a mask of the right object meets the network's own masks again in all of these; one of a wrong object does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

import numpy as np

from propagate.key_rules.base import KeyRule
from propagate.key_rules.merits import rank_steady_frames
from rvos.errors import ConfigError
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.runs import intersect_by_frame
from rvos.settings import Range


@dataclass(frozen=True, slots=True, kw_only=True)
class Consensus(KeyRule):
    """The frame from which the masks of most other frames are found again.

    Args:
        of: is left out: the rule looks at the propagated masks themselves.
        references: how many frames are tried, the steadiest ones.

    Raises:
        ConfigError: another node should decide.
    """

    rule: ClassVar[str] = "consensus"
    reads_soft: ClassVar[bool] = True

    references: Annotated[int, Range(least=2)]

    def __post_init__(self) -> None:
        if self.of is not None:
            raise ConfigError("consensus looks at the propagated node's own masks; leave 'of' out")

    @property
    def n_references(self) -> int:
        """Each start is alone."""
        return 1

    def pick(self, sequence: MaskSequence) -> int:
        """Return the first frame that is tried."""
        return self.list_starts(sequence, sequence)[0].pick_key_frame()

    def list_starts(self, source: MaskSequence, deciding: MaskSequence) -> tuple[MaskSequence, ...]:
        """Return a start for each of the steadiest frames; one alone where there is no mask."""
        frames = rank_steady_frames(source)[: self.references]
        bare = replace(source, soft=None)
        return tuple(replace(bare, key_frame=frame) for frame in frames) or (bare,)

    def choose(self, source: MaskSequence, carried: Sequence[MaskSequence]) -> MaskSequence:
        """Return the carried masks that the source agrees with best, the earlier start of equals."""
        if len(carried) == 1:
            return carried[0]
        agreements = [measure_agreement(source, one) for one in carried]
        return carried[agreements.index(max(agreements))]


def measure_agreement(source: MaskSequence, carried: MaskSequence) -> float:
    """Return the IoU of both masks, two empty ones 1, summed over frames weighted by the source's scores."""
    own, other = source.as_runs(), carried.as_runs()
    common = intersect_by_frame(own, other)
    union = own.areas() + other.areas() - common
    ious = np.where(union > 0, common / np.maximum(union, 1), 1.0)
    return float(source.scores.astype(np.float64) @ ious)
