"""Models that are not of this project as nodes: a runner of the user's own, and a program of another environment."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from runners.command import CommandRunner
from runners.outside import GROUP, CommandModel, OwnModel, check_sequences
from runners.registry import RUNNERS
from rvos.errors import ConfigError
from rvos.masks.mask_sequences import MaskSequence
from rvos.plugins import Plugin, find_plugin, is_plugin_name, list_entry_points, load_plugin
from rvos.settings import Form, Section
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import MASKS, Artefact
from rvos_fusion.kinds.base import Node, NodeFile, Task, WorkerKey, plain_fields
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.devices import choose_device
from rvos_fusion.kinds.entry import NodeEntry
from rvos_fusion.kinds.loaded import NETWORK

COMMAND = "command"
# How long it may take, and the form in which masks are handed over, change no mask.
_WITHOUT_EFFECT = ("timeout", "masks")
_SCRIPT = b"#!"
_KEY_LENGTH = 16


def is_outside(entry: NodeEntry) -> bool:
    """Tell whether an entry names a runner that is not of this project."""
    name = runner_name(entry)
    return name not in RUNNERS and (name == COMMAND or is_plugin_name(name) or name in list_entry_points(GROUP))


def read_outside(entry: NodeEntry) -> Node | None:
    """Return the node of an entry for which `is_outside` holds; None where problems were noted."""
    return CommandNode.read(entry) if runner_name(entry) == COMMAND else OwnNode.read(entry)


def outside_forms() -> tuple[Form, ...]:
    """Return what such entries may hold."""
    return Form(CommandModel), Form(OwnModel)


def runner_name(entry: NodeEntry) -> str:
    """Return the runner that an entry names; empty where it is no single value."""
    value = entry.mapping.find("runner") if isinstance(entry.mapping, Section) else None
    # A text of the file, or a value of JSON; other forms are refused when the entry is read.
    found = getattr(value, "text", getattr(value, "value", ""))
    return found if isinstance(found, str) else ""


@dataclass(frozen=True, slots=True)
class _OutsideNode(Node):
    """What both have in common."""

    keyword: ClassVar[str] = "runner"
    kind: ClassVar[str] = "member"
    section: ClassVar[Literal["models", "stages"]] = "models"
    artefact: ClassVar[Artefact] = MASKS

    model: OwnModel | CommandModel

    def inputs(self) -> tuple[str, ...]:
        """No node."""
        return ()

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

    def score_scale(self, nodes: Mapping[str, Node]) -> str | None:
        """Its own."""
        return f"the scores of {self.name}"


@dataclass(frozen=True, slots=True)
class OwnNode(_OutsideNode):
    """A runner of the user's: a module on the path or beside the recipe, or of an installed package."""

    model: OwnModel
    plugin: Plugin

    @classmethod
    def read(cls, entry: NodeEntry) -> Node | None:
        """Read the entry and find the code; it is not imported."""
        model = entry.load(OwnModel)
        if model is None:
            return None
        try:
            plugin = find_plugin(model.runner, group=GROUP, folder=entry.mapping.place.folder)
        except ConfigError as error:
            entry.note(f"runner {error}")
            return None
        assert plugin is not None
        return cls(entry.name, entry.line, entry.stage, model, plugin)

    def sources_of(self) -> tuple[Path, ...]:
        """Return the module, or all modules of its package."""
        return self.plugin.sources

    def settings(self) -> object:
        """All settings; the code stands among the files."""
        return plain_fields(self.model)

    def describe(self) -> str:
        """The function."""
        return f"runs {self.model.runner}"

    def check_load(self) -> Iterable[str]:
        """The module, which is imported."""
        try:
            load_plugin(self.plugin)
        except ConfigError as error:
            yield str(error)

    def worker_key(self) -> WorkerKey | None:
        """The loaded model, of this very code."""
        content = f"{self.model!r} {self.plugin.checksum}"
        return WorkerKey(f"network {self.name}", content, shares=False)

    def compute(self, tasks: Sequence[Task]) -> Sequence[Sequence[MaskSequence]]:
        """Return the masks of all expressions."""
        return [self._segment(task) for task in tasks]

    def _segment(self, task: Task) -> list[MaskSequence]:
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
        folder: of the recipe, where it runs.
    """

    model: CommandModel
    folder: Path

    @classmethod
    def read(cls, entry: NodeEntry) -> Node | None:
        """Read the entry."""
        model = entry.load(CommandModel)
        folder = entry.mapping.place.folder
        return None if model is None else cls(entry.name, entry.line, entry.stage, model, folder or Path.cwd())

    def check(self, nodes: Mapping[str, Node]) -> Iterable[str]:
        """Check that there is such a program."""
        if self._find_program() is None:
            yield f"no program {self.model.command[0]}; correct the first word of `command`"

    def sources_of(self) -> tuple[Path, ...]:
        """Return the files among the words; a program that is no script counts by its name alone.

        An update of the system would otherwise make everything again that Python ever made.
        """
        program = self._find_program()
        own = [program] if program is not None and _is_script(program) else []
        return (*own, *(path for word in self.model.command[1:] if (path := self.folder / word).is_file()))

    def settings(self) -> object:
        """All settings but those without effect; of words that are files the name, as their content counts."""
        words = [Path(word).name if (self.folder / word).is_file() else word for word in self.model.command]
        return [plain_fields(self.model, without=(*_WITHOUT_EFFECT, "command")), words]

    def describe(self) -> str:
        """The program."""
        return f"runs {' '.join(Path(word).name for word in self.model.command[:2])}"

    def worker_key(self) -> WorkerKey | None:
        """The running program."""
        stamps = [(path.stat().st_mtime_ns, path.stat().st_size) for path in self.sources_of()]
        return WorkerKey(f"program {self.name}", f"{self.model!r} {stamps}", shares=False)

    def compute(self, tasks: Sequence[Task]) -> Sequence[Sequence[MaskSequence]]:
        """Return the masks of all expressions."""
        return [self._segment(task) for task in tasks]

    def _segment(self, task: Task) -> list[MaskSequence]:
        place = task.workspace / "commands" / self.name

        def build() -> CommandRunner:
            return CommandRunner(self.model, folder=self.folder, place=place, device=task.device)

        runner: CommandRunner = NETWORK.get((self.worker_key(), task.device, place), build)
        video = task.video
        found = runner.segment(video, video.expressions, key=task.fingerprint[:_KEY_LENGTH])
        return check_sequences(found, video, video.expressions, keep_soft=self.model.keep_soft)

    def _find_program(self) -> Path | None:
        word = self.model.command[0]
        if os.sep in word:
            path = self.folder / word
            return path if path.is_file() and os.access(path, os.X_OK) else None
        found = shutil.which(word)
        return None if found is None else Path(found)


def _is_script(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            return stream.read(len(_SCRIPT)) == _SCRIPT
    except OSError:
        return False
