"""What a runner is: frames and expressions of one video in, mask sequences out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, Protocol, get_args

from runners.passes.test_time import TestTime
from rvos.errors import ConfigError
from rvos.masks.mask_sequences import KeepSoft, MaskSequence
from rvos.settings import Range, Size
from rvos.videos import Expression, Video

Precision = Literal["float32", "float16", "bfloat16"]
OptionValue = str | int | float | bool
_SEE_CLIPS = ("soc", "mutr", "referformer")


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
    precision: Precision = "float32"
    compile: bool = False
    keep_soft: KeepSoft = True
    options: Mapping[str, OptionValue] = field(default_factory=dict)
    test_time: TestTime | None = None

    def __post_init__(self) -> None:
        if self.test_time is not None and self.runner not in _SEE_CLIPS:
            raise ConfigError(
                f"{self.runner}: test_time is for networks that see clips ({', '.join(_SEE_CLIPS)}); remove it"
            )
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
        ...
