"""Sizes of the grounding network; free of torch layers, so that settings can be read without building anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from runners.networks.backbones.table import BACKBONES, BackboneConfig
from runners.networks.text.bert import TextSizes
from runners.networks.text.language_models import LanguageModel
from runners.networks.text.text_encoder import TextConfig
from rvos.errors import ConfigError
from rvos.settings import Chance, Count, Range, Size

Pool = Literal["masked", "literal"]
EmptySlots = Literal["zero", "mask"]
_FEWEST_WORDS = 3  # both special tokens and one word


@dataclass(frozen=True, slots=True)
class GroundingConfig:
    """A network; defaults are the paper's, or the specification's. Source: tracklets.md, sections 1 and 4.

    Args:
        backbone: its sizes, or a name of `runners.networks.backbones.table`.
        text: BERT (`TextSizes`), RoBERTa (`TextConfig`), or any encoder of transformers by the name of its type.
        width: D of slots and words; divisible by the heads.
        slots: P, tracklets of a video at most.
        max_words: word pieces of an expression with both special tokens; longer ones are cut.
        pool: "masked" divides by the mask's area, "literal" by the area of the map.
        empty_slots: of a tracklet without mask in a frame, "zero" keeps the slot without a feature there, "mask" takes
            it out of attention and softmax.
        levels: of the backbone that are pooled, 0 (stride 4) to 3; officially the last one alone.
        frame_stride: every n-th frame is looked at.
        short_side, long_side: frames are resized to this short side unless the long one would pass its limit, pixels.
        trajectory: the slots know the path of their tracklet; no official network does.
        trajectory_layers: of attention over a path.
    """

    backbone: BackboneConfig = field(default_factory=lambda: BACKBONES["resnet101"])
    text: TextSizes | TextConfig | LanguageModel = field(default_factory=TextSizes)
    width: Size = 768
    layers: Count = 4
    heads: Count = 12
    feed_forward: Size = 3072
    dropout: Chance = 0.1
    slots: Size = 10
    max_words: Annotated[int, Range(least=_FEWEST_WORDS, most=512)] = 40
    pool: Pool = "masked"
    empty_slots: EmptySlots = "zero"
    levels: tuple[Annotated[int, Range(least=0, most=3)], ...] = (3,)
    frame_stride: Size = 1
    short_side: Size = 360
    long_side: Size = 640
    trajectory: bool = False
    trajectory_layers: Count = 2

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ConfigError(f"grounding: width {self.width} and {self.heads} heads; the heads must divide the width")
        if not self.levels or len(set(self.levels)) < len(self.levels):
            raise ConfigError(f"grounding: levels {list(self.levels)}; name at least one, each once")
        if self.long_side < self.short_side:
            raise ConfigError(
                f"grounding: short_side {self.short_side} and long_side {self.long_side}; "
                "give 1 <= short_side <= long_side"
            )
