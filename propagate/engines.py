"""Propagation engines: what a recipe says of one, and what the driver needs; free of torch until one is built."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

from propagate.features import FeatureCache, Features
from rvos.errors import ConfigError

if TYPE_CHECKING:
    import torch
    from torch import Tensor

PropagationProtocol = Literal["fresh", "legacy"]
LONG_EDGE = 1040


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """One entry of `engines:` in a recipe.

    Args:
        network: name in the toolkit, such as `r50-aotl` or `swinl-deaotl`.
        checkpoint: official file or our own safetensors.
        scales: of the network input, one pass each.
        flip: add a mirrored pass to every scale.
        protocol: `fresh` resets the memory between the directions and knows one object;
            `legacy` repeats the 2023 entry: memory carried over, ten identities competing.
        long_edge: frames with a longer edge are made smaller first; None: no limit.
        max_memory_frames: long-term memory, the reference included; None: as many as the gap writes.
        long_term_gap: frames between long-term writes; None: as the network says.
        precision: of the network's arithmetic; probabilities are averaged in float32 always.
        cache_megabytes: bound of the features kept for sharing.
        skip_empty: start from the best-scored frame whose mask is not empty where the key frame's is.
        keep_soft: keep the averaged probabilities beside the masks, for fusions by average.

    Raises:
        ConfigError: a value that no engine can use.
    """

    network: str
    checkpoint: Path
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    protocol: PropagationProtocol = "fresh"
    long_edge: int | None = LONG_EDGE
    max_memory_frames: int | None = None
    long_term_gap: int | None = None
    precision: Literal["float32", "float16", "bfloat16"] = "float32"
    cache_megabytes: int = 1024
    skip_empty: bool = False
    keep_soft: bool = False

    def __post_init__(self) -> None:
        if not self.scales or any(scale <= 0 for scale in self.scales):
            raise ConfigError(f"engine {self.network}: scales {self.scales}; give one or more positive numbers")
        if self.protocol not in ("fresh", "legacy"):
            raise ConfigError(f"engine {self.network}: protocol {self.protocol!r}; choose fresh or legacy")
        if self.max_memory_frames is not None and self.max_memory_frames < 1:
            raise ConfigError(f"engine {self.network}: max_memory_frames {self.max_memory_frames}; give at least 1")
        if self.cache_megabytes < 0:
            raise ConfigError(f"engine {self.network}: cache_megabytes {self.cache_megabytes}; give 0 or more")


class VosSession(Protocol):
    """The memory of one batch of independent expressions; tensors are at network input size."""

    def reference(self, features: Any, labels: Tensor) -> None:
        """Remember a frame with labels `(B, h, w)` int64 that are given; repeated calls add to the memory."""
        ...

    def propagate(self, features: Any) -> Tensor:
        """Return the logits `(B, 1 + identities, h', w')` of the next frame, background first."""
        ...

    def remember(self, labels: Tensor) -> None:
        """Remember the frame propagated to last, with labels `(B, h, w)` int64."""
        ...


class VosEngine(Protocol):
    """A loaded propagation network."""

    @property
    def device(self) -> torch.device:
        """Where images and labels must be."""
        ...

    @property
    def align_corners(self) -> bool:
        """How logits are brought to frame size."""
        ...

    @property
    def features(self) -> FeatureCache:
        """Features shared by directions, expressions and mask sources."""
        ...

    def input_size(self, frame_size: tuple[int, int], scale: float) -> tuple[int, int]:
        """Return the network's input size for frames of (H, W) at a scale."""
        ...

    def encode(self, image: Tensor) -> Features:
        """Return the features of an image `(1, 3, h, w)`, normalised."""
        ...

    def open(self, *, active_objects: int | None, legacy: bool) -> VosSession:
        """Return a session without memory.

        Args:
            active_objects: identities that may win; None: all.
            legacy: a second reference adds to the memory and sets the last write to 0 while the frame counter
                runs on, as in the 2023 release.
        """
        ...


def build_engine(settings: EngineSettings, *, device: torch.device) -> VosEngine:
    """Return the engine that a recipe describes, with its checkpoint loaded.

    Raises:
        CheckpointError: the checkpoint is missing, damaged or of another network.
        ConfigError: no network of that name.
    """
    # Recipes are checked without torch, so the networks are imported only when one is wanted.
    from propagate.toolkit import load_engine

    return load_engine(settings, device=device)
