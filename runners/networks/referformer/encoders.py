"""What ReferFormer, MUTR and their baseline share: the encoders before the transformer, the pyramid behind it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from runners.networks.attention.positions import sine_encoding_2d
from runners.networks.backbones.table import Backbone, build_backbone, keep_annotated, level_masks, repeat_clips
from runners.networks.parts.clip_rows import for_clips
from runners.networks.parts.pyramid import CrossModalPyramid, PyramidLevel, spread_position
from runners.networks.parts.referring import Drawn, Predictions, VisualFeatures
from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.text.text_encoder import Resizer, TextFeatures, build_roberta, encode_text

# Of the projections; the pyramid of the same network has 8.
_GROUPS = 32


class ReferringEncoders(nn.Module):
    """Backbone, projections, language model and pyramid; parameter names are the official ones."""

    def __init__(self, config: ReferFormerConfig) -> None:
        super().__init__()
        self.config = config

    def add_encoders(self) -> None:
        """Add what reads frames and words; apart from `__init__`, as the order decides which random weights it gets."""
        config, width = self.config, self.config.hidden_dim
        self.backbone = nn.ModuleList([build_backbone(config.backbone, config.backbone_sizes)])
        channels = self.visual_backbone.channels
        layers = [nn.Conv2d(inputs, width, 1) for inputs in channels[1:]]
        layers.append(nn.Conv2d(channels[-1], width, 3, stride=2, padding=1))
        for layer in layers:
            nn.init.xavier_uniform_(layer.weight)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
        self.input_proj = nn.ModuleList(nn.Sequential(layer, nn.GroupNorm(_GROUPS, width)) for layer in layers)
        self.text_encoder = build_roberta(config.text)
        self.resizer = Resizer(config.text.hidden, width, config.dropout)

    def add_pyramid(self, *, reads_words: bool) -> None:
        """Add what makes mask features."""
        config = self.config
        self.pixel_decoder = CrossModalPyramid(
            self.visual_backbone.channels[0],
            channels=config.hidden_dim,
            mask_channels=config.mask_dim,
            heads=config.heads,
            feedforward=config.feedforward,
            dropout=config.dropout,
            reads_words=reads_words,
        )

    @property
    @abstractmethod
    def slow_parts(self) -> tuple[nn.Module, ...]:
        """What is worth compiling."""

    @abstractmethod
    def predict(self, visual: VisualFeatures, text: TextFeatures) -> Predictions | Tensor:
        """Return what the losses are taken of."""

    @abstractmethod
    def segment(self, visual: VisualFeatures, text: TextFeatures, *, frames_at_once: int = 8) -> Drawn:
        """Return the masks of each expression; `frames_at_once`: frames times expressions in memory."""

    @property
    def visual_backbone(self) -> Backbone:
        """The backbone; official names keep it as the first of a sequence."""
        backbone = self.backbone[0]
        assert isinstance(backbone, Backbone)
        return backbone

    def encode_video(
        self,
        frames: Tensor,
        padding_mask: Tensor | None = None,
        sizes: Tensor | None = None,
        *,
        expressions: int = 1,
        annotated: Tensor | None = None,
    ) -> VisualFeatures:
        """Return what all expressions of a clip share.

        Args:
            frames: `(B, T, 3, H, W)` normalised, zero-padded.
            padding_mask: `(B, T, H, W)` bool, true = padding, the same for all frames of a clip; None: no padding.
            sizes: `(B * E, 2)` unpadded (height, width); None: (H, W).
            expressions: E; the features of every clip are repeated so often, one after the other.
            annotated: `(B * E,)` place of the only annotated frame of each clip: the backbone sees all frames,
                everything behind it that one alone, and T is 1 from there on; None: all frames.
        """
        clips, n_frames, _, height, width = frames.shape
        # (B, T, 3, H, W) -> four maps (B * E * T, C_l, h_l, w_l): the backbone sees every clip once, whatever E is
        levels = [repeat_clips(level, clips, expressions) for level in self.visual_backbone(frames)]
        if padding_mask is not None:
            padding_mask = padding_mask.repeat_interleave(expressions, 0)
        clips *= expressions
        if annotated is not None:
            levels, n_frames = [keep_annotated(level, clips, annotated) for level in levels], 1
        if sizes is None:
            sizes = torch.tensor([[height, width]], device=frames.device).expand(clips, -1)
        # Strides 8, 16, 32, and 64 from the raw last level once more, not from its projection: (B * E * T, C, h, w)
        maps = [project(level) for project, level in zip(self.input_proj, (*levels[1:], levels[-1]), strict=True)]
        is_padded = padding_mask is not None and bool(padding_mask.any())
        # One mask serves all frames of a clip, and one all clips where nothing is padded.
        whole = padding_mask[:, 0] if padding_mask is not None else frames.new_zeros((1, height, width)).bool()
        # The mask of stride 64 comes from the input's mask like the others, not from that of stride 32.
        masks = level_masks(whole if is_padded else whole[:1], [levels[0], *maps])
        finest, *projected = (
            self._place(level, mask, n_frames if is_padded else 0)
            for level, mask in zip((levels[0], *maps), masks, strict=True)
        )
        # (B * E or 1, h, w) -> (B * E * T, h, w)
        spread = [mask.repeat_interleave(clips * n_frames // len(mask), 0) for mask in masks[1:]]
        # The dearest part of the pyramid, and the words have no part in it: once a clip, for all expressions.
        tokens = self.pixel_decoder.prepare_finest(finest, clips)
        return VisualFeatures(clips, n_frames, sizes, tuple(projected), tuple(spread), finest, tokens)

    def _place(self, level: Tensor, mask: Tensor, repeats: int) -> PyramidLevel:
        """Return a map with its encoding; masks `(B or 1, h, w)` are repeated for the frames of padded clips."""
        position = sine_encoding_2d(mask, self.config.hidden_dim).to(level.dtype)
        if not repeats:
            return PyramidLevel(level, position, None)
        return PyramidLevel(level, position.repeat_interleave(repeats, 0), mask.repeat_interleave(repeats, 0))

    def encode_text(self, ids: Tensor, attention_mask: Tensor) -> TextFeatures:
        """Return the features of tokenised expressions `(B, L)`."""
        return encode_text(self.text_encoder, self.resizer, ids, attention_mask)

    def forward(
        self,
        frames: Tensor,
        padding_mask: Tensor | None,
        ids: Tensor,
        attention_mask: Tensor,
        sizes: Tensor | None = None,
        annotated: Tensor | None = None,
    ) -> Predictions | Tensor:
        """Return what `predict` does, for E expressions a clip; the other arguments are as in `encode_video`.

        Args:
            ids: `(B * E, L)` int64, padded with 1; those of a clip next to each other.
            attention_mask: `(B * E, L)`, 1 = token.
        """
        expressions = len(ids) // len(frames)
        visual = self.encode_video(frames, padding_mask, sizes, expressions=expressions, annotated=annotated)
        return self.predict(visual, self.encode_text(ids, attention_mask))

    def memory_levels(self, visual: VisualFeatures, maps: Sequence[Tensor], clips: int) -> list[PyramidLevel]:
        """Return the encoded maps of strides 8, 16 and 32 with their encodings and masks."""
        return [
            PyramidLevel(
                level,
                for_clips(place.position, visual.clips, clips, visual.frames),
                None if place.padding_mask is None else for_clips(place.padding_mask, visual.clips, clips),
            )
            for level, place in zip(maps, visual.projected, strict=False)
        ]

    def mask_features(self, visual: VisualFeatures, coarse: Tensor, text: TextFeatures) -> Tensor:
        """Return the mask features `(E * T, mask_dim, h, w)` at stride 4, of the pyramid's stride-8 map."""
        position = spread_position(visual.finest.position, visual.clips, visual.frames)
        finest = self.pixel_decoder.finest(visual.tokens, position, text, coarse, visual.finest_size)
        return self.pixel_decoder.mask_features(finest)
