"""SOC as a member: the whole video is one clip, one visual pass serves all its expressions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from runners.base import ModelSettings
from runners.checkpoints.loading import read_checkpoint
from runners.checkpoints.resources import check_backbone, open_tokens
from runners.networks.soc.checkpoints import load_soc
from runners.networks.soc.network import SOC
from runners.networks.soc.types import VisualFeatures
from runners.networks.text.text_encoder import TextFeatures
from runners.networks.text.tokenizers import Tokens
from runners.passes.clip_runner import ClipProtocol, ClipRunner, find_centre
from runners.passes.options import SOCOptions
from rvos.errors import ConfigError
from rvos.settings import load

_SMALLEST = 8


class SOCRunner(ClipRunner[VisualFeatures]):
    """A loaded SOC; scores are the probabilities of the chosen query slot."""

    def __init__(
        self, network: SOC, tokens: Tokens, device: torch.device, *, clips: ClipProtocol, output_layer: int = 0
    ) -> None:
        super().__init__(tokens, device, clips)
        self.network, self.output_layer = network.to(device).eval(), output_layer

    def encode_video(self, frames: Tensor) -> VisualFeatures:
        """Return the maps of a clip."""
        if self.clips.centre_only:
            return self.network.encode_video(frames, annotated=find_centre(frames))
        return self.network.encode_video(frames)

    def encode_text(self, ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        """Return the features of an expression."""
        return self.network.encode_text(ids, attention_mask)

    def choose(self, visual: VisualFeatures, texts: Sequence[TextFeatures]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the best query slot of every expression."""
        for text in texts:
            chosen = self.network.segment(visual, text, output_layer=self.output_layer)
            yield chosen.mask_logits, chosen.scores


def build(settings: ModelSettings, *, device: torch.device) -> SOCRunner:
    """Return the runner; the backbone and the number of classes are read off the checkpoint.

    Options: those of `SOCOptions`.

    Raises:
        CheckpointError: the checkpoint is damaged, or is not SOC's.
        ConfigError: unknown options, a decoder layer that does not exist, or a tokeniser that does not fit.
    """
    options = load(SOCOptions, settings.options, where=settings.runner, part="options")
    clips = ClipProtocol.of(
        settings,
        short_side=options.short_side,
        long_side=options.long_side,
        smallest=_SMALLEST,
        lower_case=options.lower_case,
        centre_only=options.centre_only,
    )
    network = load_soc(read_checkpoint(settings.checkpoint, outline=device.type == "meta"))
    check_backbone(settings, network.config.backbone)
    layers = network.config.decoder_layers
    if not -layers <= options.output_layer < layers:
        raise ConfigError(f"soc: output_layer {options.output_layer}; the network has layers 0 to {layers - 1}")
    text = network.config.text
    tokens = open_tokens(settings, vocabulary=text.vocab_size, max_tokens=text.max_tokens)
    if settings.compile:
        network.backbone[0].compile()
        network.transformer.encoder.compile()
    return SOCRunner(network, tokens, device, clips=clips, output_layer=options.output_layer)
