"""The networks by name, and what each is made of."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

from deaot_toolkit.errors import NetworkConfigError

EncoderKind = Literal["mobilenet_v2", "resnet", "swin", "compact"]
Family = Literal["aot", "deaot"]
# As the official files write it.
NEVER = 9999
_RESNET_EXPANSION = 4
_MOST_LAYERS = 64
_STAGES = 3


def _check_numbers(what: str, *numbers: int, least: int = 1, most: int = 100_000) -> None:
    """Refuse sizes that no network has; files may state anything."""
    for number in numbers:
        if type(number) is not int or not least <= number <= most:
            raise NetworkConfigError(f"{what}: {number!r:.40} is no whole number from {least} to {most}; correct it")


@dataclass(frozen=True, slots=True)
class EncoderConfig:
    """An encoder with maps at strides 4, 8 and 16 and a last map at stride 16.

    Args:
        kind: which architecture; `mobilenet_v2` has no settings.
        width: of the first stage (resnet, swin).
        depths: blocks of each of the three stages (resnet, swin, compact).
        heads: of each stage (swin).
        window: side of an attention window (swin).
        widths: of the three stages and the last map (compact).
    """

    kind: EncoderKind
    width: int = 64
    depths: tuple[int, ...] = ()
    heads: tuple[int, ...] = ()
    window: int = 7
    widths: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if self.kind not in ("mobilenet_v2", "resnet", "swin", "compact"):
            raise NetworkConfigError(f"encoder {self.kind!r} is unknown; choose mobilenet_v2, resnet, swin or compact")
        _check_numbers("encoder", self.width, self.window, *self.heads, *self.widths)
        _check_numbers("encoder depths", *self.depths, most=_MOST_LAYERS)
        if self.kind != "mobilenet_v2" and len(self.depths) != _STAGES:
            raise NetworkConfigError(f"encoder {self.kind}: depths for {len(self.depths)}; give 3 stages")
        if self.kind == "swin" and len(self.heads) != _STAGES:
            raise NetworkConfigError(f"encoder swin: heads for {len(self.heads)}; give 3 stages")
        if self.kind == "compact" and len(self.widths) != _STAGES + 1:
            raise NetworkConfigError(f"encoder compact: widths for {len(self.widths)}; give 3 stages and the last map")

    @property
    def channels(self) -> tuple[int, int, int, int]:
        """Channels of the maps at strides 4, 8, 16 and of the last map."""
        if self.kind == "mobilenet_v2":
            return 24, 32, 96, 1280
        if self.kind == "compact":
            fourth, eighth, sixteenth, last = self.widths
            return fourth, eighth, sixteenth, last
        first = self.width * (_RESNET_EXPANSION if self.kind == "resnet" else 1)
        return first, 2 * first, 4 * first, 4 * first


@dataclass(frozen=True, slots=True)
class NetworkConfig:
    """Everything that decides the architecture and the default memory schedule of one network.

    Args:
        family: `aot` (one token stream) or `deaot` (visual and identity streams).
        align_corners: of every bilinear resize; also decides the input grid (16 n + 1 or 16 n).
        layers: transformer blocks.
        long_term_gap: frames between writes to the long-term memory when propagating.
        training_gap: the same when training.
        heads, feed_forward_dim: AOT only; DeAOT has one head and no feed-forward.
        max_objects: identities beside the background.
        local_radius: the window of short-term attention is (2 radius + 1) squared.
        drop_path, channel_dropout: rates of the branches that are dropped in training mode.
    """

    name: str
    family: Family
    encoder: EncoderConfig
    align_corners: bool
    layers: int
    long_term_gap: int = NEVER
    training_gap: int = NEVER
    embedding_dim: int = 256
    heads: int = 8
    feed_forward_dim: int = 1024
    max_objects: int = 10
    local_radius: int = 7
    drop_path: float = 0.1
    channel_dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.family not in ("aot", "deaot"):
            raise NetworkConfigError(f"{self.name}: family {self.family!r} is unknown; choose aot or deaot")
        _check_numbers("layers", self.layers, most=_MOST_LAYERS)
        _check_numbers("widths", self.embedding_dim, self.heads, self.feed_forward_dim, self.max_objects)
        _check_numbers("local_radius", self.local_radius, least=0, most=_MOST_LAYERS)
        for name in ("long_term_gap", "training_gap"):
            if getattr(self, name) < 1:
                raise NetworkConfigError(f"{self.name}: {name} is {getattr(self, name)}; give at least 1")
        # The decoder halves the width and normalises groups of it.
        step = max(16, self.heads)
        if self.embedding_dim % step or self.embedding_dim % self.heads:
            raise NetworkConfigError(
                f"{self.name}: embedding_dim {self.embedding_dim}; give a multiple of 16 and of {self.heads} heads"
            )

    def to_json(self) -> str:
        """Return the text form that `from_json` reads."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> NetworkConfig:
        """Return the configuration in `text`. Raises NetworkConfigError: not the text of a configuration."""
        try:
            content = json.loads(text)
            encoder: dict[str, Any] = {
                name: tuple(value) if isinstance(value, list) else value
                for name, value in content.pop("encoder").items()
            }
            return cls(encoder=EncoderConfig(**encoder), **content)
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            reason = " ".join(str(error).split())[:160] or type(error).__name__
            raise NetworkConfigError(f"network configuration: cannot be read ({reason}); build it by name") from None


def changed(config: NetworkConfig, changes: Mapping[str, Any]) -> NetworkConfig:
    """Return `config` with some fields replaced. Raises NetworkConfigError: a field that does not exist."""
    known = {item.name for item in fields(config)}
    unknown = sorted(set(changes) - known)
    if unknown:
        raise NetworkConfigError(f"{config.name}: no field {', '.join(unknown)}; there are {', '.join(sorted(known))}")
    return replace(config, **changes)


MOBILENET_V2 = EncoderConfig("mobilenet_v2")
RESNET_50 = EncoderConfig("resnet", depths=(3, 4, 6))
RESNET_101 = EncoderConfig("resnet", depths=(3, 4, 23))
SWIN_B = EncoderConfig("swin", width=128, depths=(2, 2, 18), heads=(4, 8, 16), window=7)
SWIN_L = EncoderConfig("swin", width=192, depths=(2, 2, 18), heads=(6, 12, 24), window=12)
COMPACT = EncoderConfig("compact", depths=(1, 2, 2), widths=(32, 64, 96, 128))
ENCODERS = {
    "mobilenetv2": MOBILENET_V2,
    "resnet50": RESNET_50,
    "resnet101": RESNET_101,
    "swinb": SWIN_B,
    "swinl": SWIN_L,
    "compact": COMPACT,
}


@dataclass(frozen=True, slots=True)
class _Variant:
    encoder: EncoderConfig
    layers: int = 3
    grows: bool = True
    small: Mapping[str, Any] = field(default_factory=dict)


# Our own, for training on a CPU; no official file has these sizes.
_SMALL = {"embedding_dim": 96, "heads": 4, "feed_forward_dim": 384}
_VARIANTS = {
    "t": _Variant(MOBILENET_V2, layers=1, grows=False),
    "s": _Variant(MOBILENET_V2, layers=2, grows=False),
    "b": _Variant(MOBILENET_V2, layers=3, grows=False),
    "l": _Variant(MOBILENET_V2),
    "r50-l": _Variant(RESNET_50),
    "r101-l": _Variant(RESNET_101),
    "swinb-l": _Variant(SWIN_B),
    "swinl-l": _Variant(SWIN_L),
    "small": _Variant(COMPACT, layers=2, small=_SMALL),
}


def _named_configs() -> dict[str, NetworkConfig]:
    families: tuple[Family, ...] = ("aot", "deaot")
    configs = {}
    for family in families:
        for key, variant in _VARIANTS.items():
            prefix, _, suffix = key.rpartition("-")
            if key == "small":
                name = f"small-{family}"
            else:
                name = f"{prefix}-{family}{suffix}" if prefix else f"{family}{suffix}"
            gaps = {"long_term_gap": 5, "training_gap": 2} if variant.grows else {}
            configs[name] = NetworkConfig(
                name=name,
                family=family,
                encoder=variant.encoder,
                # A property of the official variants; it decides the grid and every resize.
                align_corners=variant.encoder.kind != "swin",
                layers=variant.layers,
                **gaps,
                **variant.small,
            )
    return configs


CONFIGS: Mapping[str, NetworkConfig] = _named_configs()


def plain_name(name: str) -> str:
    """Return a name without what does not matter in it."""
    return re.sub(r"[^a-z0-9]", "", name.lower())


def find_config(name: str) -> NetworkConfig:
    """Return a network's configuration; case, `-` and `_` do not matter. Raises NetworkConfigError: no such name."""
    for known, config in CONFIGS.items():
        if plain_name(known) == plain_name(name):
            return config
    raise NetworkConfigError(f"network {name!r} is unknown; choose one of {', '.join(CONFIGS)}")


def find_encoder(name: str) -> EncoderConfig:
    """Return an encoder by its spellings: `swin_large`, `SwinL`, `R50`. Raises NetworkConfigError: no such name."""
    plain = plain_name(name)
    plain = {"r50": "resnet50", "r101": "resnet101", "swinbase": "swinb", "swinlarge": "swinl"}.get(plain, plain)
    if plain not in ENCODERS:
        raise NetworkConfigError(f"encoder {name!r} is unknown; choose one of {', '.join(ENCODERS)}")
    return ENCODERS[plain]
