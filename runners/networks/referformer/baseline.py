"""The baseline of ReferFormer's component table: pixels and words side by side, no queries, no dynamic filters.

The paper says it in a line; this is what it is here. In every frame the pixels of all levels and the words are one
sequence of a plain transformer encoder. A pyramid without words makes features of what becomes of the pixels, and a 1x1
convolution the one mask.
"""

from __future__ import annotations

import torch
from deaot_toolkit.products import use_direct_products
from torch import Tensor, nn

from runners.networks.parts.clip_rows import by_clip, for_clips
from runners.networks.parts.pyramid import to_maps, to_tokens
from runners.networks.parts.referring import Drawn, VisualFeatures
from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.encoders import ReferringEncoders
from runners.networks.referformer.network import ReferFormer
from runners.networks.text.text_encoder import TextFeatures


class ConcatenatingBaseline(ReferringEncoders):
    """The network with random weights."""

    def __init__(self, config: ReferFormerConfig) -> None:
        super().__init__(config)
        width = config.hidden_dim
        self.add_encoders()
        self.add_pyramid(reads_words=False)
        layer = nn.TransformerEncoderLayer(width, config.heads, config.feedforward, config.dropout, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, config.encoder_layers, enable_nested_tensor=False)
        self.level_embed = nn.Parameter(torch.randn(len(self.input_proj), width))
        self.mask_head = nn.Conv2d(config.mask_dim, 1, 1)
        use_direct_products(self)

    @property
    def slow_parts(self) -> tuple[nn.Module, ...]:
        """What is worth compiling."""
        return self.visual_backbone, self.encoder

    def predict(self, visual: VisualFeatures, text: TextFeatures) -> Tensor:
        """Return the mask logits `(E, T, h, w)` at stride 4."""
        return self._draw(visual, text, len(text.words) * visual.frames)

    def _draw(self, visual: VisualFeatures, text: TextFeatures, frames_at_once: int) -> Tensor:
        clips = len(text.words)
        levels = self.memory_levels(visual, self._encode(visual, text, frames_at_once), clips)
        features = self.mask_features(visual, self.pixel_decoder.coarse(levels, text), text)
        return by_clip(self.mask_head(features)[:, 0], clips)

    @torch.no_grad()
    def segment(self, visual: VisualFeatures, text: TextFeatures, *, frames_at_once: int = 8) -> Drawn:
        """Return the masks of each expression; a score is the mean probability inside of a mask, 0 where it is empty.

        Args:
            visual: one clip for all E expressions, or one each.
            frames_at_once: frames times expressions in the encoder at the same time.
        """
        masks = self._draw(visual, text, frames_at_once)
        chances = masks.float().sigmoid()
        marked = chances > 0.5
        return Drawn((chances * marked).sum((-2, -1)) / marked.sum((-2, -1)).clamp(min=1), masks)

    def _encode(self, visual: VisualFeatures, text: TextFeatures, frames_at_once: int) -> list[Tensor]:
        """Return the maps of strides 8, 16 and 32, `(E * T, C, h, w)`, after the encoder."""
        clips, frames = len(text.words), visual.frames
        maps = [for_clips(level.map, visual.clips, clips) for level in visual.projected]
        positions = [for_clips(level.position, visual.clips, clips, frames) for level in visual.projected]
        pixels = [
            to_tokens(level + position + embedding[:, None, None], len(level))
            for level, position, embedding in zip(maps, positions, self.level_embed, strict=True)
        ]
        # (E, L, C) -> (E * T, L, C): every frame reads the same words
        words = (text.words + text.position).repeat_interleave(frames, 0)
        padding = [for_clips(mask, visual.clips, clips).flatten(1) for mask in visual.padding_masks]
        padding.append(text.padding_mask.repeat_interleave(frames, 0))
        sequence, mask = torch.cat([*pixels, words], 1), torch.cat(padding, 1)
        some = zip(torch.split(sequence, frames_at_once), torch.split(mask, frames_at_once), strict=True)
        states = torch.cat([self.encoder(tokens, src_key_padding_mask=padded) for tokens, padded in some])
        # Stride 64 and the words end here.
        lengths = [level.shape[-2] * level.shape[-1] for level in maps]
        parts = torch.split(states, [*lengths, words.shape[1]], 1)
        return [
            to_maps(part, (level.shape[-2], level.shape[-1])) for part, level in zip(parts, maps[:-1], strict=False)
        ]


def build_referformer(config: ReferFormerConfig) -> ReferFormer | ConcatenatingBaseline:
    """Return the network that the sizes mean."""
    return ConcatenatingBaseline(config) if config.concatenated else ReferFormer(config)
