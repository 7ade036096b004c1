"""Settings of the judges; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from runners.base import OptionValue
from runners.judges.base import JudgeSettings
from rvos.errors import ConfigError
from rvos.programs.words import list_sources
from rvos.settings import NoEffect, Positive, Size


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandJudgeSettings(JudgeSettings):
    """A program of another environment, such as one that asks a service.

    Args:
        command: its words; those with a slash, and names of files beside the recipe, are relative to the recipe.
        timeout: seconds that an answer may take.
        checkpoint: file or folder; None: the program needs none.
        options: the program's own, handed on as they are; the name of the model that it asks belongs here.
    """

    command: tuple[str, ...]
    timeout: Annotated[Positive, NoEffect()] = 600.0
    checkpoint: Path | None = None
    options: Mapping[str, OptionValue] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.command:
            raise ConfigError("command is empty; give the program and its arguments, such as [python, my_judge.py]")

    @property
    def folder(self) -> Path:
        """Where it runs."""
        return self.beside or Path.cwd()

    @property
    def files(self) -> Mapping[str, tuple[Path, ...]]:
        """See `JudgeSettings`."""
        weights = () if self.checkpoint is None else (self.checkpoint,)
        return {"source": list_sources(self.command, self.folder), "checkpoint": weights}


@dataclass(frozen=True, slots=True, kw_only=True)
class HubJudgeSettings(JudgeSettings):
    """A Qwen2.5-VL or Qwen3-VL through `transformers`.

    Args:
        checkpoint: a folder of the hub with its safetensors.
        tokens: that an answer may have.
        pixels: that a sheet may have; a larger one is made smaller. None: as the folder says.
        precision: of weights and arithmetic.
    """

    checkpoint: Path
    tokens: Size = 1024
    pixels: Size | None = None
    precision: Literal["float32", "float16", "bfloat16"] = "bfloat16"

    @property
    def files(self) -> Mapping[str, tuple[Path, ...]]:
        """See `JudgeSettings`."""
        return {"checkpoint": (self.checkpoint,)}


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedJudgeSettings(JudgeSettings):
    """Verdicts of a judge that is not at hand.

    Args:
        path: folder of one judge, as it lies in `verdicts` of a workspace.
    """

    path: Path

    @property
    def files(self) -> Mapping[str, tuple[Path, ...]]:
        """See `JudgeSettings`."""
        return {"verdicts": (self.path,)}
