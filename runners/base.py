"""What a runner is: frames and expressions of one video in, mask sequences out; and what a recipe may say of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Protocol, get_args

from runners.test_time import TestTime
from rvos.errors import ConfigError
from rvos.masks.mask_sequences import KeepSoft, MaskSequence
from rvos.settings import NoEffect, Range, Size
from rvos.videos import Expression, Video

if TYPE_CHECKING:
    import torch

Precision = Literal["float32", "float16", "bfloat16"]
OptionValue = str | int | float | bool


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """One entry of `models:` in a recipe.

    Args:
        runner: name in `runners.registry`.
        checkpoint: official file or our own safetensors.
        backbone: name of the visual backbone; None: as the checkpoint says.
        tokenizer: folder with the tokeniser's files; None: the project's small demo tokeniser.
        window: frames of a clip; None: the official protocol of the network.
        overlap: frames shared by neighbouring windows.
        join: how windows become one: `mean`: each picks its own query, their logits are averaged where they overlap;
            `identity`: one object is followed through the frames that they share.
        precision: of the network's arithmetic; masks are thresholded in float32 always.
        compile: pass the network through `torch.compile`.
        keep_soft: keep logits beside the hard masks, as `uint8` (true) or `float16`.
        options: the runner's own settings.
        test_time: views of the video that are averaged before results are stored; None: the ordinary one alone.
    """

    runner: str
    checkpoint: Path
    backbone: str | None = None
    tokenizer: Path | None = None
    window: Size | None = None
    overlap: Annotated[int, Range(least=0)] = 0
    join: Literal["mean", "identity"] = "mean"
    precision: Precision = "float32"
    compile: Annotated[bool, NoEffect()] = False
    keep_soft: KeepSoft = True
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    test_time: TestTime | None = None

    def __post_init__(self) -> None:
        # One value for one meaning: results must not be made again for another spelling.
        if self.keep_soft == "uint8":
            object.__setattr__(self, "keep_soft", True)
        if self.precision not in get_args(Precision):
            raise ConfigError(
                f"{self.runner}: precision {self.precision!r}; choose one of {', '.join(get_args(Precision))}"
            )


class Runner(Protocol):
    """A loaded referring network."""

    def segment(self, video: Video, expressions: Sequence[Expression]) -> Iterator[MaskSequence]:
        """Yield one mask sequence for each expression, in their order."""


class BuildRunner(Protocol):
    """How a runner is made."""

    def __call__(self, settings: ModelSettings, *, device: torch.device) -> Runner:
        """Return the loaded runner; torch and the network are imported only here.

        Args:
            device: on `meta` no weights are read: what is wrong with settings and files shows as it would on any other.

        Raises:
            ConfigError: settings that the network does not have, or an unusable tokeniser folder.
            CheckpointError: the checkpoint cannot be read safely, or does not fit.
        """


@dataclass(frozen=True, slots=True)
class RunnerKind:
    """A network as recipes know it.

    Args:
        options: dataclass of what may stand under `options:`.
        sees_clips: frames are looked at together, so that windows and steps have a meaning.
        words: whose tokeniser the released networks need.
        version: raised when the same settings and files give other masks: results of before are made again.
    """

    name: str
    options: type
    build: BuildRunner
    sees_clips: bool = True
    words: str = "roberta-base"
    version: int = 1

    @property
    def module(self) -> str:
        """Where it is described."""
        return self.build.__module__

    def check(self, settings: ModelSettings) -> None:
        """Raise ConfigError where a network of single frames is given windows, or clips of some frames."""
        if self.sees_clips:
            return
        if settings.test_time is not None and settings.test_time.steps != (1,):
            raise ConfigError(f"{self.name}: works frame by frame; drop test_time.steps")
        if settings.window is not None or settings.overlap or settings.join != "mean":
            raise ConfigError(f"{self.name}: works frame by frame; drop window, overlap and join")
