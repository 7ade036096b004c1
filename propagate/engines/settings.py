"""What a recipe says of a propagation engine; free of torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Literal

from rvos.errors import ConfigError
from rvos.masks.mask_sequences import KeepSoft
from rvos.plugins import is_plugin_name, list_entry_points
from rvos.settings import Folder, Given, NoEffect, Positive, Size

PropagationProtocol = Literal["fresh", "legacy", "shared"]
Family = Literal["aot", "sam2", "own"]
GROUP = "rvos.engines"
"""Of entry points: an installed package names its `load_engine` there."""
PROTOCOLS: Mapping[Family, tuple[str, ...]] = {
    "aot": ("fresh", "legacy"),
    "sam2": ("fresh", "shared"),
    "own": ("fresh",),
}
LONG_EDGE = 1040
# Options that one family does not have: given for it, they would be without effect.
_FOREIGN: Mapping[Family, tuple[str, ...]] = {
    "aot": ("image_size",),
    "sam2": ("scales", "flip", "long_edge", "max_memory_frames", "long_term_gap"),
    "own": (),
}


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """One entry of `engines:` in a recipe.

    Args:
        network: name, such as `r50-aotl`, `swinl-deaotl` or `sam2.1-hiera-large`; of an engine of one's own the name of
            an entry point in the group `rvos.engines`, or `module:function`.
        checkpoint: official file, our own safetensors, or for SAM 2 a folder of the hub.
        scales: of the network input, one pass each (AOT, DeAOT).
        flip: add a mirrored pass to every scale (AOT, DeAOT).
        protocol: `fresh` resets the memory between the directions and knows one object;
            `legacy` (AOT, DeAOT) repeats the 2023 entry: memory carried over, ten identities competing;
            `shared` (SAM 2): the backward pass sees what the forward pass found, as in the official predictor.
        long_edge: frames with a longer edge are made smaller first; None: no limit (AOT, DeAOT).
        max_memory_frames: long-term memory, the reference included; None: as many as the gap writes (AOT, DeAOT).
        long_term_gap: frames between long-term writes; None: as the network says (AOT, DeAOT).
        image_size: side of the square network input, a multiple of 32; None: 1024 (SAM 2).
        precision: of the network's arithmetic; probabilities are averaged in float32 always.
        cache_megabytes: bound of the features kept for sharing.
        skip_empty: start from the best-scored frame whose mask is not empty where the key frame's is.
        keep_soft: keep the averaged probabilities beside the masks for fusions by average, `uint8` (true) or `float16`.
        beside: folder of the recipe, where the module of an engine of one's own may lie; no key of the recipe.
        name: that the recipe calls it by.

    Raises:
        ConfigError: a value that no engine can use.
    """

    network: str
    checkpoint: Path
    scales: tuple[Positive, ...] = (1.0,)
    flip: bool = False
    protocol: PropagationProtocol = "fresh"
    long_edge: Size | None = LONG_EDGE
    max_memory_frames: int | None = None
    long_term_gap: Size | None = None
    image_size: Size | None = None
    precision: Literal["float32", "float16", "bfloat16"] = "float32"
    cache_megabytes: Annotated[int, NoEffect()] = 1024
    skip_empty: bool = False
    keep_soft: KeepSoft = False
    beside: Annotated[Path | None, Folder()] = None
    name: Annotated[str, Given("name")] = ""

    def __post_init__(self) -> None:
        if self.keep_soft == "uint8":
            object.__setattr__(self, "keep_soft", True)
        if not self.scales or any(scale <= 0 for scale in self.scales):
            raise ConfigError(f"engine {self.network}: scales {self.scales}; give one or more positive numbers")
        protocols = PROTOCOLS[self.family]
        if self.protocol not in protocols:
            raise ConfigError(
                f"engine {self.network}: protocol {self.protocol!r} is unknown; choose one of {', '.join(protocols)}"
            )
        defaults = {field.name: field.default for field in fields(self)}
        foreign = [name for name in _FOREIGN[self.family] if getattr(self, name) != defaults[name]]
        if foreign:
            raise ConfigError(
                f"engine {self.network}: {', '.join(foreign)} has no effect on this network; leave it out"
            )
        if self.max_memory_frames is not None and self.max_memory_frames < 1:
            raise ConfigError(f"engine {self.network}: max_memory_frames {self.max_memory_frames}; give at least 1")
        if self.cache_megabytes < 0:
            raise ConfigError(f"engine {self.network}: cache_megabytes {self.cache_megabytes}; give 0 or more")

    @property
    def family(self) -> Family:
        """The family of networks, which is the file of `propagate.engines` that knows it."""
        if is_plugin_name(self.network):
            return "own"
        if self.network.startswith("sam2"):
            return "sam2"
        # Asked last, as all installed packages are looked through.
        return "aot" if "aot" in self.network or self.network not in list_entry_points(GROUP) else "own"

    @property
    def is_own(self) -> bool:
        """Whether it is a user's own."""
        return self.family == "own"

    @property
    def takes_boxes(self) -> bool:
        """Whether the network starts from boxes too; all start from masks."""
        return self.family == "sam2"
