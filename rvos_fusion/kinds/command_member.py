"""A program of another environment as a node."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from runners.command import CommandRunner
from runners.outside import CommandModel, check_sequences
from rvos.masks.mask_sequences import MaskSequence
from rvos.settings import Flat, Folder
from rvos_fusion.kinds.base import NodeGraph, Task, WorkerKey
from rvos_fusion.kinds.networks.loaded import NETWORK
from rvos_fusion.kinds.outside import OutsideNode
from rvos_fusion.kinds.plain import plain_fields

_SCRIPT = b"#!"
_KEY_LENGTH = 16


@dataclass(frozen=True, slots=True)
class CommandNode(OutsideNode):
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
        """All of them; of words that are files the name, as their content counts."""
        words = [Path(word).name if (self.folder / word).is_file() else word for word in self.model.command]
        return [plain_fields(self.model, without=("command",)), words]

    def describe(self) -> str:
        """The program."""
        return f"runs {' '.join(Path(word).name for word in self.model.command[:2])}"

    def worker_key(self) -> WorkerKey | None:
        """The running program."""
        stamps = [(path.stat().st_mtime_ns, path.stat().st_size) for path in self.sources_of()]
        return WorkerKey(f"program {self.name}", f"{self.model!r} {stamps}", shares=False)

    def make(self, task: Task) -> list[MaskSequence]:
        """Return the masks of all expressions."""
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
