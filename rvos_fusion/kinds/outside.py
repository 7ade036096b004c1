"""Models that are not of this project as nodes: a runner of the user's own, and a program of another environment."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from runners.command import CommandRunner
from runners.outside import GROUP, CommandModel, OwnModel, check_sequences
from rvos.masks.mask_sequences import MaskSequence
from rvos.plugins import Plugin, load_plugin, require_plugin
from rvos.programs.words import explain_program, list_sources
from rvos.settings import Flat, Folder
from rvos.videos import Video
from rvos_fusion.kinds.base import Node, NodeFile, NodeGraph, Task, WorkerKey
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.networks.loaded import NETWORK, choose_device
from rvos_fusion.kinds.plain import plain_fields

_KEY_LENGTH = 16


@dataclass(frozen=True, slots=True)
class _OutsideNode(Node):
    """A node with a model that is not of this project."""

    keyword: ClassVar[str] = "runner"
    kind: ClassVar[str] = "member"
    section: ClassVar[Literal["models", "stages"]] = "models"

    model: OwnModel | CommandModel

    def files(self) -> tuple[NodeFile, ...]:
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
        return [[expression.text for expression in video.expressions], checksums.frames(video)]

    def detail(self) -> str:
        return self.model.runner

    def soft_maps(self) -> str | None:
        """Those that it gives, unless they are not kept; whether it gives any shows when it runs."""
        return "" if self.model.keep_soft else "set keep_soft: true on the model"


@dataclass(frozen=True, slots=True)
class OwnNode(_OutsideNode):
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
        return self.plugin.sources

    def describe(self) -> str:
        return f"runs {self.model.runner}"

    def worker_key(self) -> WorkerKey | None:
        content = f"{self.model!r} {self.plugin.checksum}"
        return WorkerKey(f"network {self.name}", content, shares=False)

    def make(self, task: Task) -> list[MaskSequence]:
        def build() -> object:
            return load_plugin(self.plugin)(self.model, device=choose_device(task.device))

        runner = NETWORK.get((self.worker_key(), task.device), build)
        video = task.video
        found = runner.segment(video, video.expressions)
        return check_sequences(found, video, video.expressions, keep_soft=self.model.keep_soft)


@dataclass(frozen=True, slots=True)
class CommandNode(_OutsideNode):
    """A program of another environment.

    Args:
        recipe_folder: where it runs; None: the current folder.
    """

    model: Annotated[CommandModel, Flat()]
    recipe_folder: Annotated[Path | None, Folder()] = None

    @property
    def folder(self) -> Path:
        """Where it runs."""
        return self.recipe_folder or Path.cwd()

    def check(self, nodes: NodeGraph) -> Iterable[str]:
        if problem := explain_program(self.model.command, self.folder):
            yield problem

    def sources_of(self) -> tuple[Path, ...]:
        """Return the files among the words."""
        return list_sources(self.model.command, self.folder)

    def settings(self) -> object:
        """All of them; of words that are files the name, as their content counts."""
        words = [Path(word).name if (self.folder / word).is_file() else word for word in self.model.command]
        return [plain_fields(self.model, without=("command",)), words]

    def describe(self) -> str:
        return f"runs {' '.join(Path(word).name for word in self.model.command[:2])}"

    def worker_key(self) -> WorkerKey | None:
        stamps = [(path.stat().st_mtime_ns, path.stat().st_size) for path in self.sources_of()]
        return WorkerKey(f"program {self.name}", f"{self.model!r} {stamps}", shares=False)

    def make(self, task: Task) -> list[MaskSequence]:
        place = task.place / self.name

        def build() -> CommandRunner:
            return CommandRunner(self.model, folder=self.folder, place=place, device=task.device)

        runner: CommandRunner = NETWORK.get((self.worker_key(), task.device, place), build)
        video = task.video
        found = runner.segment(video, video.expressions, key=task.fingerprint[:_KEY_LENGTH])
        return check_sequences(found, video, video.expressions, keep_soft=self.model.keep_soft)
