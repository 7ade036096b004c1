"""What a recipe says of a propagation engine, whatever its family; free of torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal

from rvos.errors import ConfigError
from rvos.masks.mask_sequences import KeepSoft
from rvos.settings import Folder, Given, NoEffect, Positive, Range, Size

LONG_EDGE = 1040


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """One entry of `engines:` in a recipe; each family of networks has a class with its own settings.

    Args:
        network: name, such as `r50-aotl`, `swinl-deaotl` or `sam2.1-hiera-large`; of an engine of one's own the name of
            an entry point in the group `rvos.engines`, or `module:function`.
        checkpoint: official file, our own safetensors, or for SAM 2 a folder of the hub; only a program needs none.
        precision: of the network's arithmetic; probabilities are averaged in float32 always.
        cache_megabytes: bound of the features kept for sharing.
        skip_empty: start from the best-scored frame whose mask is not empty where the key frame's is.
        keep_soft: keep the averaged probabilities beside the masks for fusions by average, `uint8` (true) or `float16`.
        beside: folder of the recipe, where the module of an engine of one's own may lie; no key of the recipe.
        name: that the recipe calls it by.
    """

    family: ClassVar[str]
    """Of networks; `rvos checkpoint` and the licences go by it."""
    version: ClassVar[int] = 1
    """Raised when the same settings and files give other masks: results of before are made again."""
    is_own: ClassVar[bool] = False
    """Whether it is a user's own, whose files of code count."""
    takes_boxes: ClassVar[bool] = False
    """Whether the network starts from boxes too; all start from masks."""
    lets_compete: ClassVar[bool] = False
    """Whether several objects can share a state, in which they compete for pixels."""

    network: str
    checkpoint: Path | None = None
    precision: Literal["float32", "float16", "bfloat16"] = field(default="float32", kw_only=True)
    cache_megabytes: Annotated[int, Range(least=0), NoEffect()] = field(default=1024, kw_only=True)
    skip_empty: bool = field(default=False, kw_only=True)
    keep_soft: KeepSoft = field(default=False, kw_only=True)
    beside: Annotated[Path | None, Folder()] = field(default=None, kw_only=True)
    name: Annotated[str, Given("name")] = field(default="", kw_only=True)

    def __post_init__(self) -> None:
        if self.keep_soft == "uint8":
            object.__setattr__(self, "keep_soft", True)

    @property
    def sources(self) -> tuple[Path, ...]:
        """Files of code beside the product's."""
        return ()

    @property
    def checksum(self) -> str:
        """Of these files; empty without any."""
        return ""


@dataclass(frozen=True, slots=True)
class NetworkSettings(EngineSettings):
    """Settings of engines that have a checkpoint."""

    checkpoint: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ScaledSettings(NetworkSettings):
    """Settings of engines that see frames at one or more scales.

    Args:
        scales: of the network input, one pass each.
        flip: add a mirrored pass to every scale.
        long_edge: frames with a longer edge are made smaller first; None: no limit.

    Raises:
        ConfigError: no scale.
    """

    scales: tuple[Positive, ...] = (1.0,)
    flip: bool = False
    long_edge: Size | None = LONG_EDGE

    def __post_init__(self) -> None:
        EngineSettings.__post_init__(self)
        if not self.scales:
            raise ConfigError(f"engine {self.network}: no scales; give one or more positive numbers")
