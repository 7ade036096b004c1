"""What the runners of ReferFormer and MUTR have in common: their options, and batches of expressions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from runners.base import ModelSettings
from runners.checkpoints.loading import CheckpointFile
from runners.networks.backbones.table import find_backbone
from runners.networks.parts.recognition import infer_backbone, name_backbone
from runners.networks.parts.referring import VisualFeatures
from runners.networks.referformer.network import ReferFormer
from runners.networks.text.text_encoder import TextFeatures, stack_texts
from runners.networks.text.tokenizers import Tokens
from runners.passes.clip_runner import ClipProtocol, ClipRunner, find_centre
from runners.passes.options import ReferringOptions
from rvos.errors import CheckpointError

_GPU_EXPRESSIONS = 4


class ReferringRunner(ClipRunner[VisualFeatures]):
    """A loaded ReferFormer or MUTR.

    Args:
        network: with its weights.
        tokens: tokeniser that belongs to the network.
        device: to run on.
    """

    def __init__(
        self,
        network: ReferFormer,
        tokens: Tokens,
        device: torch.device,
        *,
        clips: ClipProtocol,
        options: ReferringOptions,
    ) -> None:
        super().__init__(tokens, device, clips)
        self.network = network.to(device).eval()
        self.options = options
        self._at_once = options.expressions_at_once or (1 if device.type == "cpu" else _GPU_EXPRESSIONS)

    def encode_video(self, frames: Tensor) -> VisualFeatures:
        """Return the maps of a clip."""
        if self.clips.centre_only:
            return self.network.encode_video(frames, annotated=find_centre(frames))
        return self.network.encode_video(frames)

    def encode_text(self, ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        """Return the features of an expression."""
        return self.network.encode_text(ids, attention_mask)

    def choose(self, visual: VisualFeatures, texts: Sequence[TextFeatures]) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the best query of every expression; some expressions pass together."""
        for start in range(0, len(texts), self._at_once):
            text = stack_texts(texts[start : start + self._at_once])
            chosen = self.network.segment(visual, text, frames_at_once=self.options.frames_at_once)
            yield from zip(chosen.masks, chosen.scores, strict=True)

    def pick_key_frame(self, logits: Tensor) -> int | None:
        """Return the frame of the surest mask where the options ask for it."""
        return most_confident(logits) if self.options.key_frame == "confidence" else None


def most_confident(logits: Tensor) -> int:
    """Return the frame of `logits` `(T, h, w)` with the surest foreground (mean probability); 0 if all are empty."""
    probability = logits.float().sigmoid()
    marked = probability > 0.5
    mean = (probability * marked).sum((-2, -1)) / marked.sum((-2, -1)).clamp(min=1)
    return int(mean.argmax())


def plan_clips(
    settings: ModelSettings, options: ReferringOptions, network: ReferFormer, *, short_side: int
) -> ClipProtocol:
    """Return how videos become clips.

    Args:
        short_side: the official one.

    Raises:
        ConfigError: a window without frames, or an overlap that leaves nothing new.
    """
    # The pyramid needs 8 pixels a side at stride 4.
    smallest = 32 if network.visual_backbone.rounds_down else 29
    return ClipProtocol.of(
        settings,
        short_side=options.short_side or short_side,
        smallest=smallest,
        lower_case=options.lower_case,
        centre_only=options.centre_only,
    )


def released_backbone(settings: ModelSettings, file: CheckpointFile) -> str:
    """Return the name of the backbone in an official file.

    Raises:
        CheckpointError: no known backbone, or another one than the settings say.
    """
    found = infer_backbone(file.state)
    name = name_backbone(found) if found is not None else None
    if name is None:
        raise CheckpointError(f"{file.path}: no released backbone of {settings.runner}; `rvos checkpoint` tells more")
    if settings.backbone is not None and find_backbone(settings.backbone) != find_backbone(name):
        raise CheckpointError(
            f"{file.path}: its backbone is {name}, the recipe says {settings.backbone}; correct or drop `backbone`"
        )
    return name


def compile_network(network: ReferFormer) -> None:
    """Compile the parts that take the time; the first clip of each size is slow."""
    network.visual_backbone.compile()
    network.transformer.encoder.compile()
