"""A clean-up of masks as a node: small islands dropped, small holes filled."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar, Literal

from fusion.clean_up import CleanUpRules, clean_up
from rvos.masks.mask_sequences import MaskSequence
from rvos.settings import Chance, Key
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import MASKS, Artefact
from rvos_fusion.kinds.base import Node, NodeFile, Task, WorkerKey
from rvos_fusion.kinds.capabilities import Cleaner
from rvos_fusion.kinds.checksums import Checksums


@dataclass(frozen=True, slots=True)
class CleanUpNode(Node):
    """Masks of a node without small islands and holes; scores and key frames stay.

    Args:
        source: node whose masks are cleaned.
        islands, holes: see `fusion.clean_up.CleanUpRules`; one of them is above 0.
    """

    keyword: ClassVar[str] = "clean_up"
    kind: ClassVar[str] = "clean-up"
    section: ClassVar[Literal["models", "stages"]] = "stages"
    artefact: ClassVar[Artefact] = MASKS

    source: Annotated[str, Key("clean_up")]
    islands: Chance = 0.0
    holes: Chance = 0.0

    @property
    def rules(self) -> CleanUpRules:
        """What is too small."""
        return CleanUpRules(self.islands, self.holes)

    def inputs(self) -> tuple[str, ...]:
        """The masks that are cleaned."""
        return (self.source,)

    def files(self) -> tuple[NodeFile, ...]:
        """None."""
        return ()

    def sources(self, video: Video, checksums: Checksums) -> object:
        """Nothing but the masks."""
        return None

    def warn(self, nodes: Mapping[str, Node]) -> Iterable[str]:
        """Nothing to drop and nothing to fill."""
        if not (self.islands or self.holes):
            yield "islands and holes are 0, so that nothing changes; choose them with rvos sweep"

    def describe(self) -> str:
        """Source and sizes."""
        return f"cleans {self.source}: {self.detail()}"

    def detail(self) -> str:
        """Sizes."""
        return f"islands {self.islands:g}, holes {self.holes:g}"

    def score_scale(self, nodes: Mapping[str, Node]) -> str | None:
        """The source's: scores are passed on."""
        return nodes[self.source].score_scale(nodes)

    def worker_key(self) -> WorkerKey | None:
        """Nothing."""
        return None

    def cleaner(self) -> Cleaner | None:
        """Return itself."""
        return self

    def compute(self, tasks: Sequence[Task]) -> Sequence[Sequence[MaskSequence]]:
        """Return the cleaned masks; soft maps and propagation probabilities were those of others, and go."""
        return [[clean(sequence, self.rules) for sequence in task.read(self.source)] for task in tasks]


def clean(sequence: MaskSequence, rules: CleanUpRules) -> MaskSequence:
    """Return the sequence with cleaned masks."""
    return replace(sequence, runs=clean_up(sequence, rules), soft=None, propagation=None)
