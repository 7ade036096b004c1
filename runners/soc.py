"""SOC as a member: the whole video is one clip, one visual pass serves all its expressions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from runners.base import ModelSettings, OptionValue
from runners.checkpoints import read_checkpoint
from runners.frames import read_clip, to_mask_sequence
from runners.networks.backbones import BackboneConfig, find_backbone
from runners.networks.soc import SOC
from runners.networks.soc_checkpoints import load_soc
from runners.networks.soc_types import ChosenQuery
from runners.networks.text_encoder import TextFeatures
from runners.networks.tokenizers import Tokens
from runners.options import read_options
from runners.resources import arithmetic, memory_advice, open_tokens
from runners.windows import join_windows, plan_windows
from rvos.errors import ConfigError, InputError
from rvos.mask_sequences import MaskSequence
from rvos.videos import Expression, Video

OPTIONS: dict[str, OptionValue] = {"short_side": 360, "long_side": 640, "output_layer": 0, "lower_case": False}
_SMALLEST = 8


@dataclass(frozen=True, slots=True)
class SOCOptions:
    """How a loaded network is run.

    Args:
        short_side: of the network input in pixels, less where the long one would pass `long_side`.
        output_layer: decoder layer that speaks: 0 as officially, -1 the last.
        lower_case: lower-case expressions and collapse their blanks, as in training; officially they are read raw.
    """

    short_side: int = 360
    long_side: int = 640
    output_layer: int = 0
    lower_case: bool = False

    def __post_init__(self) -> None:
        if self.short_side < 1 or self.long_side < self.short_side:
            raise ConfigError(
                f"soc: short_side {self.short_side} and long_side {self.long_side}; give 1 <= short_side <= long_side"
            )


class SOCRunner:
    """A loaded SOC.

    Args:
        settings: window, precision and whether soft masks are kept.
        network: on `device`.
        tokens: that the network was trained with.
    """

    def __init__(
        self, settings: ModelSettings, network: SOC, tokens: Tokens, options: SOCOptions, device: torch.device
    ) -> None:
        self.settings, self.network, self.tokens = settings, network, tokens
        self.options, self.device = options, device

    def segment(self, video: Video, expressions: Sequence[Expression]) -> Iterator[MaskSequence]:
        """Yield one mask sequence for each expression; scores are the probabilities of the chosen query slot.

        Raises:
            InputError: a frame cannot be read or is too small, or an expression is empty.
            ConfigError: the device has not enough memory.
        """
        if not expressions:
            return
        if not video.frames:
            raise InputError(f"{video.id}: no frames; drop the video or restore its frame list")
        windows = plan_windows(video.n_frames, self.settings.window, self.settings.overlap)
        parts: list[list[ChosenQuery]] = [[] for _ in expressions]
        with memory_advice(video), arithmetic(self.device, self.settings.precision):
            # One at a time: padding to the longest would change the rounding of the others.
            texts = [self._read(video, expression) for expression in expressions]
            for window in windows:
                for part, chosen in zip(parts, self._segment_window(video, window, texts), strict=True):
                    part.append(chosen)
        for expression, part in zip(expressions, parts, strict=True):
            yield self._finish(video, expression, part, windows)

    def _read(self, video: Video, expression: Expression) -> TextFeatures:
        text = " ".join(expression.text.lower().split()) if self.options.lower_case else expression.text
        if not text.strip():
            raise InputError(f"{video.id}/{expression.id}: the expression is empty; mend or drop it")
        ids, mask = self.tokens.encode([text])
        return self.network.encode_text(ids.to(self.device), mask.to(self.device))

    def _segment_window(self, video: Video, window: range, texts: Sequence[TextFeatures]) -> Iterator[ChosenQuery]:
        """Yield the chosen query of every expression; the frames are encoded once."""
        sizes = self.options
        frames = read_clip(video, window, short_side=sizes.short_side, long_side=sizes.long_side, smallest=_SMALLEST)
        visual = self.network.encode_video(frames[None].to(self.device))
        for text in texts:
            yield self.network.segment(visual, text, output_layer=self.options.output_layer)

    def _finish(
        self, video: Video, expression: Expression, parts: Sequence[ChosenQuery], windows: Sequence[range]
    ) -> MaskSequence:
        logits = join_windows([part.mask_logits.float() for part in parts], windows, video.n_frames)
        scores = join_windows([part.scores for part in parts], windows, video.n_frames)
        return to_mask_sequence(
            video, expression, logits, scores, size=video.read_size(), keep_soft=self.settings.keep_soft
        )


def build(settings: ModelSettings, *, device: torch.device) -> SOCRunner:
    """Return the runner; the backbone and the number of classes are read off the checkpoint.

    Options: those of `SOCOptions`.

    Raises:
        CheckpointError: the checkpoint is damaged, or is not SOC's.
        ConfigError: unknown options, a decoder layer that does not exist, or a tokeniser that does not fit.
    """
    options = SOCOptions(**read_options(settings.runner, settings.options, OPTIONS))  # type: ignore[arg-type]
    network = load_soc(read_checkpoint(settings.checkpoint)).to(device)
    _check_backbone(settings, network.config.backbone)
    layers = network.config.decoder_layers
    if not -layers <= options.output_layer < layers:
        raise ConfigError(f"soc: output_layer {options.output_layer}; the network has layers 0 to {layers - 1}")
    text = network.config.text
    tokens = open_tokens(settings, vocabulary=text.vocab_size, max_tokens=text.max_tokens)
    if settings.compile:
        network.backbone[0].compile()
        network.transformer.encoder.compile()
    return SOCRunner(settings, network, tokens, options, device)


def _check_backbone(settings: ModelSettings, found: BackboneConfig) -> None:
    """Refuse a checkpoint of another backbone than the recipe names."""
    if settings.backbone is None:
        return
    wanted = find_backbone(settings.backbone)
    if (wanted.kind, wanted.width, wanted.depths) != (found.kind, found.width, found.depths):
        raise ConfigError(
            f"{settings.checkpoint}: its backbone is {found.kind} of width {found.width} and depths {found.depths}, "
            f"not {settings.backbone}; correct `backbone` or leave it out"
        )
