"""Sizes of the networks by name; free of torch. Source: cfbi.md, section 1."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from rvos.errors import ConfigError

STRIDES = (4, 8, 16)


@dataclass(frozen=True, slots=True)
class Matching:
    """What is matched at one stride of the network.

    Args:
        channels: of the embedding, counted from the first.
        radii: of the local windows in cells, ascending.
        rate: only offsets of local windows that are multiples of it count.
    """

    channels: int
    radii: tuple[int, ...]
    rate: int = 1

    @property
    def n_maps(self) -> int:
        """Maps of a row: one global and one local a window, of the row and of all others, and the row's last mask."""
        return 2 * (1 + len(self.radii)) + 1


@dataclass(frozen=True, slots=True)
class CfbiConfig:
    """Sizes of a network.

    Args:
        backbone: `resnet` (bottlenecks, the last stage dilated), `mobilenet` (version 2) or `compact` (the toolkit's).
        is_pyramid: CFBI+: three strides with an embedding each; else one, matched locally at half its size.
        embedding: channels of an embedding.
        matching: for each stride with an embedding.
        width: channels of the ensembler's first stage, a multiple of four times `groups`; the other sizes follow it.
        deeplab: channels of DeepLab's maps.
        groups: of the group norms, but for those of a single embedding.
        stem: channels of a ResNet's first stage.
        depths: blocks of a ResNet's stages.
    """

    backbone: Literal["resnet", "mobilenet", "compact"]
    is_pyramid: bool
    embedding: int
    matching: tuple[Matching, ...]
    width: int = 256
    deeplab: int = 256
    groups: int = 32
    stem: int = 64
    depths: tuple[int, int, int, int] = (3, 4, 23, 3)


_PLAIN = (Matching(100, (2, 4, 6, 8, 10, 12)),)
_PYRAMID = (
    Matching(32, (4, 8, 12, 16, 20, 24), rate=2),
    Matching(64, (2, 4, 6, 8, 10, 12)),
    Matching(128, (2, 4, 6, 8, 10)),
)
CONFIGS: Mapping[str, CfbiConfig] = {
    "cfbi": CfbiConfig("resnet", False, 100, _PLAIN),
    "cfbi+": CfbiConfig("resnet", True, 256, _PYRAMID),
    "cfbip": CfbiConfig("resnet", True, 256, _PYRAMID),
    "mobilenet-cfbi": CfbiConfig("mobilenet", False, 100, _PLAIN),
    # Not official ones: for tests, and to be trained on a CPU.
    "small-cfbi": CfbiConfig("resnet", False, 50, (Matching(50, (2, 4, 6)),), width=128, stem=16, depths=(1, 1, 2, 1)),
    "small-cfbi+": CfbiConfig(
        "resnet",
        True,
        64,
        (Matching(16, (4, 8), rate=2), Matching(32, (2, 4)), Matching(64, (2, 4))),
        width=128,
        stem=16,
        depths=(1, 1, 2, 1),
    ),
    # The demo's.
    "compact-cfbi+": CfbiConfig(
        "compact",
        True,
        48,
        (Matching(24, (4, 8, 12), rate=2), Matching(32, (2, 4, 6)), Matching(48, (2, 4))),
        width=64,
        deeplab=64,
        groups=8,
    ),
}


def find_config(name: str) -> CfbiConfig:
    """Return the sizes of a network. Raises ConfigError: no network of that name."""
    if name not in CONFIGS:
        raise ConfigError(f"engine {name}: no network of that name; choose one of {', '.join(CONFIGS)}")
    return CONFIGS[name]
