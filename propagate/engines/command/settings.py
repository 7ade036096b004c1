"""Settings of a program that carries masks; free of torch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from propagate.engines.settings import EngineSettings
from rvos.errors import ConfigError
from rvos.files.atomic import hash_file
from rvos.programs.words import explain_program, list_sources
from rvos.settings import NoEffect, Positive


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandSettings(EngineSettings):
    """An engine that is a program of another environment (docs/own_model.md).

    Args:
        command: its words, relative to the recipe as in `runner: command`.
        timeout: seconds that a frame may take; None: any time.

    Raises:
        ConfigError: no words, or a program that cannot be started.
    """

    family: ClassVar[str] = "command"
    is_own: ClassVar[bool] = True

    command: tuple[str, ...]
    timeout: Annotated[Positive | None, NoEffect()] = None

    def __post_init__(self) -> None:
        EngineSettings.__post_init__(self)
        if not self.command:
            raise ConfigError("command is empty; give the program and its arguments, such as [python, my_engine.py]")
        # Without a recipe's folder it runs in the current one, and is looked for when it is started.
        if self.beside is not None and (problem := explain_program(self.command, self.beside)):
            raise ConfigError(problem)

    @property
    def folder(self) -> Path:
        """Where it runs."""
        return self.beside or Path.cwd()

    @property
    def sources(self) -> tuple[Path, ...]:
        """The files among the words."""
        return list_sources(self.command, self.folder)

    @property
    def checksum(self) -> str:
        """Of these files."""
        return hashlib.sha256("".join(map(hash_file, self.sources)).encode()).hexdigest()
