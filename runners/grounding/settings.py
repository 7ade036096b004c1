"""What a recipe may say of a grounding network; free of torch, so that it is checked before anything runs."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from runners.base import Precision
from rvos.errors import ConfigError
from rvos.settings import Size


@dataclass(frozen=True, slots=True)
class GroundingSettings:
    """One grounding network in a recipe.

    Args:
        checkpoint: that `rvos train` wrote.
        tokenizer: folder with the files of the language model's tokeniser; None: the project's small word list.
        frame_stride: every n-th frame is looked at; None: as the checkpoint says.
        weight: of its scores in the mean over networks.
        precision: of the network's arithmetic.
    """

    checkpoint: Path
    tokenizer: Path | None = None
    frame_stride: Size | None = None
    weight: float = 1.0
    precision: Precision = "float32"

    def __post_init__(self) -> None:
        if not 0 < self.weight < float("inf"):
            raise ConfigError(f"{self.checkpoint}: weight {self.weight}; give a number above 0, or leave it out")
