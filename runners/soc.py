"""SOC as a member: the whole video is one clip, one visual pass serves all its expressions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from runners.base import ModelSettings, Runner, RunnerKind
from rvos.errors import ConfigError
from rvos.settings import Size, load

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from runners.networks.soc.types import VisualFeatures
    from runners.networks.text.text_encoder import TextFeatures

_SMALLEST = 8


@dataclass(frozen=True, slots=True)
class SOCOptions:
    """SOC's own settings in a recipe.

    Args:
        short_side: of the network input in pixels, less where the long one would pass `long_side`.
        output_layer: decoder layer that speaks: 0 as officially, -1 the last.
        lower_case: lower-case expressions and collapse their blanks, as in training; officially they are read raw.
        centre_only: look at all frames of a clip and answer for the middle one alone, T = 1 behind the backbone, as
            published for A2D- and JHMDB-Sentences; the other frames stay without a mask.
        all_queries: keep the masks and scores of all queries in that frame, which the published mAP ranks.
    """

    short_side: Size = 360
    long_side: Size = 640
    output_layer: int = 0
    lower_case: bool = False
    centre_only: bool = False
    all_queries: bool = False

    def __post_init__(self) -> None:
        if self.long_side < self.short_side:
            raise ConfigError(
                f"short_side {self.short_side} and long_side {self.long_side}; give 1 <= short_side <= long_side"
            )


def build(settings: ModelSettings, *, device: torch.device) -> Runner:
    """Return the runner; the backbone and the number of classes are read off the checkpoint. See `BuildRunner`."""
    from runners.checkpoints.loading import read_checkpoint
    from runners.networks.parts.recognition import check_backbone
    from runners.networks.soc.checkpoints import load_soc
    from runners.networks.text.tokenizers import fit_tokens
    from runners.passes.clip_runner import ClipProtocol
    from runners.passes.query_runners import build_clip_runner

    options = load(SOCOptions, settings.options, where=settings.runner, part="options")
    clips = ClipProtocol(
        settings,
        short_side=options.short_side,
        long_side=options.long_side,
        smallest=_SMALLEST,
        lower_case=options.lower_case,
        centre_only=options.centre_only,
        all_queries=options.all_queries,
    )
    path = settings.checkpoint
    network = load_soc(read_checkpoint(path, outline=device.type == "meta"))
    check_backbone(settings.backbone, network.config.backbone, path=path)
    layers = network.config.decoder_layers
    if not -layers <= options.output_layer < layers:
        raise ConfigError(f"soc: output_layer {options.output_layer}; the network has layers 0 to {layers - 1}")
    text = network.config.text
    tokens = fit_tokens(settings.tokenizer, vocabulary=text.vocab_size, max_tokens=text.max_tokens, where=str(path))
    if settings.compile:
        network.backbone[0].compile()
        network.transformer.encoder.compile()

    def choose(visual: VisualFeatures, texts: Sequence[TextFeatures]) -> Iterator[tuple[Tensor, Tensor]]:
        for text in texts:
            chosen = network.segment(visual, text, output_layer=options.output_layer)
            yield chosen.mask_logits, chosen.scores

    def choose_all(visual: VisualFeatures, texts: Sequence[TextFeatures]) -> Iterator[tuple[Tensor, Tensor]]:
        for text in texts:
            yield network.segment_all(visual, text, output_layer=options.output_layer)

    return build_clip_runner(network, choose, choose_all, tokens, device, clips)


RUNNER = RunnerKind("soc", SOCOptions, build)
