"""ReferFormer and MUTR as clip runners: batches of expressions, and the surest frame as key frame."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from runners.base import ModelSettings
from runners.checkpoints.loading import CheckpointFile
from runners.networks.parts.referring import VisualFeatures
from runners.networks.referformer.checkpoints import load_released
from runners.networks.referformer.encoders import ReferringEncoders
from runners.networks.referformer.network import ReferFormer
from runners.networks.text.text_encoder import TextFeatures, stack_texts
from runners.networks.text.tokenizers import Tokens, fit_tokens
from runners.passes.clip_runner import ClipProtocol, ClipRunner
from runners.passes.query_runners import build_clip_runner
from runners.referring import ReferringOptions

_GPU_EXPRESSIONS = 4


def finish_referring(
    network: ReferringEncoders,
    file: CheckpointFile,
    settings: ModelSettings,
    options: ReferringOptions,
    *,
    device: torch.device,
    short_side: int,
) -> ClipRunner[VisualFeatures]:
    """Return the runner of a network that was built for `file` and has no weights yet.

    Args:
        short_side: the official one.

    Raises:
        CheckpointError: the checkpoint does not fit.
        ConfigError: an unusable tokeniser folder, or impossible windows.
    """
    text = network.config.text
    tokens = fit_tokens(
        settings.tokenizer, vocabulary=text.vocab_size, max_tokens=text.max_tokens, where=str(file.path)
    )
    load_released(network, file)
    if settings.compile:
        # The parts that take the time; the first clip of each size is slow.
        for part in network.slow_parts:
            part.compile()
    clips = ClipProtocol(
        settings,
        short_side=options.short_side or short_side,
        # The pyramid needs 8 pixels a side at stride 4.
        smallest=32 if network.visual_backbone.rounds_down else 29,
        lower_case=options.lower_case,
        centre_only=options.centre_only,
        all_queries=options.all_queries,
    )
    return run_referring(network, tokens, device, clips=clips, options=options)


def run_referring(
    network: ReferringEncoders, tokens: Tokens, device: torch.device, *, clips: ClipProtocol, options: ReferringOptions
) -> ClipRunner[VisualFeatures]:
    """Return the runner of a network with its weights."""
    at_once = options.expressions_at_once or (1 if device.type == "cpu" else _GPU_EXPRESSIONS)

    def choose(visual: VisualFeatures, texts: Sequence[TextFeatures]) -> Iterator[tuple[Tensor, Tensor]]:
        for start in range(0, len(texts), at_once):
            text = stack_texts(texts[start : start + at_once])
            chosen = network.segment(visual, text, frames_at_once=options.frames_at_once)
            yield from zip(chosen.masks, chosen.scores, strict=True)

    def choose_all(visual: VisualFeatures, texts: Sequence[TextFeatures]) -> Iterator[tuple[Tensor, Tensor]]:
        assert isinstance(network, ReferFormer)
        for text in texts:
            yield network.segment_all(visual, text, frames_at_once=options.frames_at_once)

    pick = find_surest if options.key_frame == "confidence" else None
    every = choose_all if isinstance(network, ReferFormer) else None
    return build_clip_runner(network, choose, every, tokens, device, clips, pick_key_frame=pick)


def find_surest(logits: Tensor) -> int:
    """Return the frame of `logits` `(T, h, w)` with the surest foreground (mean probability); 0 if all are empty."""
    probability = logits.float().sigmoid()
    marked = probability > 0.5
    mean = (probability * marked).sum((-2, -1)) / marked.sum((-2, -1)).clamp(min=1)
    return int(mean.argmax())
