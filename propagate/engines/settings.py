"""What a recipe says of a propagation engine; free of torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from rvos.errors import ConfigError

PropagationProtocol = Literal["fresh", "legacy"]
PROTOCOLS: tuple[str, ...] = ("fresh", "legacy")
LONG_EDGE = 1040


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """One entry of `engines:` in a recipe.

    Args:
        network: name, such as `r50-aotl` or `swinl-deaotl`.
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
        if self.protocol not in PROTOCOLS:
            raise ConfigError(
                f"engine {self.network}: protocol {self.protocol!r} is unknown; choose one of {', '.join(PROTOCOLS)}"
            )
        if self.max_memory_frames is not None and self.max_memory_frames < 1:
            raise ConfigError(f"engine {self.network}: max_memory_frames {self.max_memory_frames}; give at least 1")
        if self.cache_megabytes < 0:
            raise ConfigError(f"engine {self.network}: cache_megabytes {self.cache_megabytes}; give 0 or more")
