"""A runner of the user's own as a node: a module on the path or beside the recipe, or of an installed package."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

from runners.outside import GROUP, OwnModel, check_sequences
from rvos.masks.mask_sequences import MaskSequence
from rvos.plugins import Plugin, load_plugin, require_plugin
from rvos.settings import Flat, Folder
from rvos_fusion.kinds.base import Task, WorkerKey
from rvos_fusion.kinds.networks.loaded import NETWORK, choose_device, explain
from rvos_fusion.kinds.outside import OutsideNode


@dataclass(frozen=True, slots=True)
class OwnNode(OutsideNode):
    """A runner of the user's.

    Args:
        folder: of the recipe.
        plugin: the code, which is not imported before it is needed.
    """

    model: Annotated[OwnModel, Flat()]
    folder: Annotated[Path | None, Folder()] = None
    plugin: Plugin = field(init=False)

    def __post_init__(self) -> None:
        # Found once: all its sources are read for their checksum.
        object.__setattr__(self, "plugin", require_plugin("runner", self.model.runner, group=GROUP, folder=self.folder))

    def sources_of(self) -> tuple[Path, ...]:
        """Return the module, or all modules of its package."""
        return self.plugin.sources

    def describe(self) -> str:
        """The function."""
        return f"runs {self.model.runner}"

    def check_load(self) -> Iterable[str]:
        """The module, which is imported."""
        return explain(lambda: load_plugin(self.plugin))

    def worker_key(self) -> WorkerKey | None:
        """The loaded model, of this very code."""
        content = f"{self.model!r} {self.plugin.checksum}"
        return WorkerKey(f"network {self.name}", content, shares=False)

    def make(self, task: Task) -> list[MaskSequence]:
        """Return the masks of all expressions."""

        def build() -> object:
            return load_plugin(self.plugin)(self.model, device=choose_device(task.device))

        runner = NETWORK.get((self.worker_key(), task.device), build)
        video = task.video
        found = runner.segment(video, video.expressions)
        return check_sequences(found, video, video.expressions, keep_soft=self.model.keep_soft)
