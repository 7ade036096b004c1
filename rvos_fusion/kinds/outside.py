"""What nodes with models that are not of this project have in common."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from runners.outside import CommandModel, OwnModel
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import MASKS, Artefact
from rvos_fusion.kinds.base import Node, NodeFile
from rvos_fusion.kinds.checksums import Checksums


@dataclass(frozen=True, slots=True)
class OutsideNode(Node):
    """A node with a model that is not of this project."""

    keyword: ClassVar[str] = "runner"
    kind: ClassVar[str] = "member"
    section: ClassVar[Literal["models", "stages"]] = "models"
    artefact: ClassVar[Artefact] = MASKS

    model: OwnModel | CommandModel

    def files(self) -> tuple[NodeFile, ...]:
        """Checkpoint, what it is made of, and what the recipe names beside."""
        found = [NodeFile(path, "source", "no such file; correct the path", "settings") for path in self.sources_of()]
        if self.model.checkpoint is not None:
            advice = "no such checkpoint; put it there or correct the path"
            found.append(NodeFile(self.model.checkpoint, "checkpoint", advice, "checkpoint"))
        advice = "no such file; correct `files`"
        return (*found, *(NodeFile(path, "file", advice, "settings") for path in self.model.files))

    def sources_of(self) -> tuple[Path, ...]:
        """Return the files of its code."""
        return ()

    def sources(self, video: Video, checksums: Checksums) -> object:
        """The sentences and the frames."""
        return [[expression.text for expression in video.expressions], checksums.frames(video)]

    def detail(self) -> str:
        """The runner."""
        return self.model.runner

    def soft_maps(self) -> str | None:
        """Those that it gives, unless they are not kept; whether it gives any shows when it runs."""
        return "" if self.model.keep_soft else "set keep_soft: true on the model"
