"""A clean-up of masks as a node: small islands dropped, small holes filled."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Annotated, ClassVar

from fusion.clean_up import CleanUpRules, clean_up
from rvos.masks.mask_sequences import MaskSequence
from rvos.settings import Flat, Key
from rvos_fusion.kinds.base import Node, NodeGraph, Task
from rvos_fusion.kinds.inputs import MasksOf
from rvos_fusion.kinds.trials import CheapRules, Values


@dataclass(frozen=True, slots=True)
class CleanUpNode(CheapRules, Node):
    """Masks of a node without small islands and holes; scores and key frames stay.

    Args:
        source: node whose masks are cleaned.
        rules: what is too small.
    """

    keyword: ClassVar[str] = "clean_up"
    kind: ClassVar[str] = "clean-up"
    values: ClassVar[Values] = {
        "islands": ("0", "0.02", "0.05", "0.1", "0.2", "0.5", "1"),
        "holes": ("0", "0.02", "0.1", "0.5"),
    }

    source: Annotated[MasksOf, Key("clean_up")]
    rules: Annotated[CleanUpRules, Flat()]

    def warn(self, nodes: NodeGraph) -> Iterable[str]:
        if not (self.rules.islands or self.rules.holes):
            yield "islands and holes are 0, so that nothing changes; choose them with rvos sweep"

    def describe(self) -> str:
        return f"cleans {self.source}: {self.detail()}"

    def detail(self) -> str:
        return f"islands {self.rules.islands:g}, holes {self.rules.holes:g}"

    def passes_scores_of(self) -> str:
        return self.source

    def make(self, task: Task) -> list[MaskSequence]:
        """Return the cleaned masks; soft maps and propagation probabilities were those of others, and go."""
        return [
            replace(one, runs=clean_up(one, self.rules), soft=None, propagation=None) for one in task.read(self.source)
        ]
