"""A kind of node that the project does not have, in one file, as an example and for the tests of all commands.

`{shift: NODE, checkpoint: FILE}` moves the masks of a node right by the pixels that a file states.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np

from rvos.errors import InputError
from rvos.masks.mask_sequences import MaskSequence, encode
from rvos.settings import Key
from rvos_fusion.kinds.artefacts import MASKS, Artefact
from rvos_fusion.kinds.base import Node, NodeFile, NodeGraph, Task
from rvos_fusion.kinds.inputs import MasksOf


@dataclass(frozen=True, slots=True)
class ShiftNode(Node):
    """Masks moved to the right."""

    keyword: ClassVar[str] = "shift"
    kind: ClassVar[str] = "shift"
    artefact: ClassVar[Artefact] = MASKS

    source: Annotated[MasksOf, Key("shift")]
    checkpoint: Path
    wrap: bool = True

    def files(self) -> tuple[NodeFile, ...]:
        """The file with the number of pixels."""
        return (NodeFile(self.checkpoint, "checkpoint", "no such offset; write one", "checkpoint"),)

    def check(self, nodes: NodeGraph) -> Iterable[str]:
        """A moved mask is not moved again."""
        if isinstance(nodes[self.source], ShiftNode):
            yield f"{self.source} is moved already; add up the pixels"

    def describe(self) -> str:
        """The source."""
        return f"shifts {self.source}"

    def detail(self) -> str:
        """The file."""
        return self.checkpoint.name

    def make(self, task: Task) -> list[MaskSequence]:
        """Return the moved masks."""
        return [self._move(sequence) for sequence in task.read(self.source)]

    def _move(self, sequence: MaskSequence) -> MaskSequence:
        word = self.checkpoint.read_text().strip()
        if not word.isdecimal():
            raise InputError(f"{self.checkpoint}: {word!r}, expected a number of pixels")
        return replace(sequence, runs=encode(np.roll(sequence.masks(), int(word), axis=2)))
