"""What a recipe may say under a runner's `options:`; free of torch, so that it is checked before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from rvos.errors import ConfigError
from rvos.settings import Chance, Range, Size

TOKENS_AT_ONCE = 36_000
# On the CPU a larger batch leaves the caches: one frame of 480 x 853 and one expression pass at a time.
CPU_TOKENS_AT_ONCE = 9_000


@dataclass(frozen=True, slots=True)
class SOCOptions:
    """SOC's own settings in a recipe.

    Args:
        short_side: of the network input in pixels, less where the long one would pass `long_side`.
        output_layer: decoder layer that speaks: 0 as officially, -1 the last.
        lower_case: lower-case expressions and collapse their blanks, as in training; officially they are read raw.
        centre_only: look at all frames of a clip and answer for the middle one alone, T = 1 behind the backbone, as
            published for A2D- and JHMDB-Sentences; the other frames stay without a mask.
    """

    short_side: Size = 360
    long_side: Size = 640
    output_layer: int = 0
    lower_case: bool = False
    centre_only: bool = False

    def __post_init__(self) -> None:
        if self.long_side < self.short_side:
            raise ConfigError(
                f"short_side {self.short_side} and long_side {self.long_side}; give 1 <= short_side <= long_side"
            )


@dataclass(frozen=True, slots=True)
class ReferringOptions:
    """ReferFormer's own settings in a recipe; MUTR has them too.

    Args:
        short_side: of the resized frames, pixels; None: the official one.
        key_frame: "scores": first maximum of the per-frame scores, as officially; "confidence": the frame whose mask
            has the largest mean probability, for networks whose scores are the same in every frame.
        lower_case: lower-case expressions and join their words by single blanks, as in training.
        expressions_at_once: that pass through the network together; one at a time, as on the CPU where it is None,
            gives the same rounding as alone.
        frames_at_once: frames times expressions that the per-frame parts hold in memory at the same time.
        centre_only: look at all frames of a clip and answer for the middle one alone, T = 1 behind the backbone, as
            published for A2D- and JHMDB-Sentences; the other frames stay without a mask.
    """

    short_side: Size | None = None
    key_frame: Literal["scores", "confidence"] = "scores"
    lower_case: bool = False
    expressions_at_once: Size | None = None
    frames_at_once: Size = 8
    centre_only: bool = False


@dataclass(frozen=True, slots=True)
class MutrOptions(ReferringOptions):
    """MUTR's own settings in a recipe.

    Args:
        eval_layer: heads at evaluation; -1 is the consistent choice, 0 the released behaviour; None: as the file says.
    """

    eval_layer: int | None = None

    def __post_init__(self) -> None:
        if self.centre_only:
            raise ConfigError("centre_only: MUTR has no such protocol; leave it out, or take soc or referformer")


@dataclass(frozen=True, slots=True)
class UninextOptions:
    """UNINEXT's own settings in a recipe.

    Args:
        tokens_at_once: of all frames and expressions that pass through the network together, at most; bounds the
            memory. On the CPU never more than 9,000, as more at once is slower there.
        short_side, long_side: of the resized frames, pixels; None: as the network was trained.
        link: follow the object of the best frame by the network's embeddings, instead of taking each frame's best.
        several: take all queries whose score is at least this, so that a sentence may mean several objects or none;
            for networks that were trained so. No soft maps are kept then.

    Raises:
        ConfigError: `link` and `several`.
    """

    tokens_at_once: Annotated[int, Range(least=1)] = TOKENS_AT_ONCE
    short_side: Size | None = None
    long_side: Size | None = None
    link: bool = False
    several: Chance | None = None

    def __post_init__(self) -> None:
        if self.link and self.several is not None:
            raise ConfigError("link and several: a link follows one object; leave one of them out")


OPTIONS: Mapping[str, type] = {
    "soc": SOCOptions,
    "mutr": MutrOptions,
    "referformer": ReferringOptions,
    "uninext": UninextOptions,
}
"""By the names of `runners.registry`."""
