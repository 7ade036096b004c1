"""The cross-modal pyramid: stages k = 4 to 1 of stride 32 to 4, with the words. Source: referformer.md, section 5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runners.networks.attention.broadcast_attention import attend, feed_forward
from runners.networks.backbones.light_pyramid import add_upsampled
from runners.networks.backbones.table import resize_mask
from runners.networks.text.text_encoder import TextFeatures

# Stage k attends over maps that are 2 ** (4 - k) times smaller.
_REDUCTIONS = {4: 1, 3: 2, 2: 4, 1: 8}
# Eight here, 32 in the projections of the same network.
_GROUPS = 8


class NormedConv(nn.Conv2d):
    """Convolution without bias and a group norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int) -> None:
        super().__init__(inputs, outputs, kernel, padding=kernel // 2, bias=False)
        self.norm = nn.GroupNorm(_GROUPS, outputs)
        nn.init.kaiming_uniform_(self.weight, a=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return `(N, outputs, h, w)`."""
        return self.norm(super().forward(x))


@dataclass(frozen=True, slots=True, eq=False)
class PyramidLevel:
    """One map of every frame and what belongs to it.

    Args:
        map: `(B * T, C, h, w)`, frames of a clip consecutive.
        position: `(B * T or 1, C, h, w)`; 1 serves all frames.
        padding_mask: `(B * T, h, w)` bool, true = padding; None: nothing is padded.
    """

    map: Tensor
    position: Tensor
    padding_mask: Tensor | None


def to_tokens(maps: Tensor, clips: int) -> Tensor:
    """Return the pixels of all frames of each clip, `(clips, T * h * w, C)`, of maps `(clips * T, C, h, w)`."""
    # (clips * T, C, h, w) -> (clips * T, h * w, C) -> (clips, T * h * w, C): frame, row, column
    return maps.flatten(2).transpose(1, 2).reshape(clips, -1, maps.shape[1])


def to_maps(tokens: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the maps `(N, C, h, w)`, channels last in memory, of tokens `(clips, T * h * w, C)`."""
    return tokens.reshape(-1, *size, tokens.shape[-1]).permute(0, 3, 1, 2)


class CrossModalBlock(nn.Module):
    """Self attention on a grid `reduction` times smaller, cross attention to words, feed-forward; post-norm."""

    def __init__(self, channels: int, heads: int, feedforward: int, *, reduction: int, dropout: float) -> None:
        super().__init__()
        self.reduction = reduction
        self.self_attn = nn.MultiheadAttention(channels, heads, dropout=dropout, batch_first=True)
        self.multihead_attn = nn.MultiheadAttention(channels, heads, dropout=dropout, batch_first=True)
        self.linear1 = nn.Linear(channels, feedforward)
        self.linear2 = nn.Linear(feedforward, channels)
        self.norm1 = nn.LayerNorm(channels)
        self.norm2 = nn.LayerNorm(channels)
        self.norm3 = nn.LayerNorm(channels)
        self.dropout = nn.Dropout(dropout)

    def mix_frames(self, level: PyramidLevel, clips: int) -> Tensor:
        """Return the tokens `(clips, T * h * w, C)` after the self attention; they do not depend on the words."""
        # Rounded down: a finest map of fewer than 8 pixels a side leaves nothing to attend to.
        size = (level.map.shape[-2], level.map.shape[-1])
        grid = (size[0] // self.reduction, size[1] // self.reduction)
        value, position, padding_mask = level.map, level.position, level.padding_mask
        # Nearest on the way down, bilinear on the way back, both to stated sizes: so the released weights were trained.
        if self.reduction > 1:
            value = F.interpolate(value, size=grid, mode="nearest")
            position = F.interpolate(position, size=grid, mode="nearest")
            padding_mask = None if padding_mask is None else resize_mask(padding_mask, grid)
        # (clips, T * h' * w', C): all frames of a clip see each other, so the cost grows with the square of T
        query = to_tokens(value + position, clips)
        padded_keys = None if padding_mask is None else padding_mask.reshape(clips, -1)
        mixed = attend(self.self_attn, query, query, to_tokens(value, clips), padded_keys)
        if self.reduction > 1:
            mixed = to_tokens(F.interpolate(to_maps(mixed, grid), size=size, mode="bilinear"), clips)
        return self.norm1(to_tokens(level.map, clips) + self.dropout(mixed))

    def read_words(self, tokens: Tensor, position: Tensor, text: TextFeatures) -> Tensor:
        """Return the tokens `(B, L, C)` after words and feed-forward; those of one clip may serve all B expressions."""
        # The words as they came from the resizer: neither the fusion nor MUTR's aggregation has changed these.
        keys = text.words + text.position
        found = attend(self.multihead_attn, tokens + position, keys, text.words, key_padding(text))
        tokens = self.norm2(tokens + self.dropout(found))
        hidden = feed_forward(self.linear1, self.linear2, self.dropout, tokens)
        return self.norm3(tokens + self.dropout(hidden))


class PlainBlock(nn.Module):
    """Stands where a cross-modal block stood and passes tokens on: a pyramid without words and without frames mixed."""

    def mix_frames(self, level: PyramidLevel, clips: int) -> Tensor:
        """Return the tokens `(clips, T * h * w, C)` as they are."""
        return to_tokens(level.map, clips)

    def read_words(self, tokens: Tensor, position: Tensor, text: TextFeatures) -> Tensor:
        """Return the tokens `(B or 1, L, C)`, those of a shared clip once for each of the B expressions."""
        return tokens.expand(len(text.words), -1, -1)


def key_padding(text: TextFeatures) -> Tensor | None:
    """Return the padding mask of the words, or None where nothing is padded."""
    # A mask of nothing would only cost time.
    return text.padding_mask if len(text.words) > 1 and bool(text.padding_mask.any()) else None


def spread_position(position: Tensor, clips: int, frames: int) -> Tensor:
    """Return encodings `(B * T or 1, C, h, w)` as tokens `(clips or 1, frames * h * w, C)`."""
    if len(position) == 1:
        position = position.expand(frames, -1, -1, -1)
        return to_tokens(position, 1)
    return to_tokens(position, clips)


class CrossModalPyramid(nn.Module):
    """Mask features at stride 4 from the encoder memory, the finest backbone map and the words.

    Args:
        finest_channels: of the backbone's stride-4 map.
        reads_words: false is an ablation, a pyramid of convolutions alone.
    """

    def __init__(
        self,
        finest_channels: int,
        *,
        channels: int = 256,
        mask_channels: int = 256,
        heads: int = 8,
        feedforward: int = 2048,
        dropout: float = 0.1,
        reads_words: bool = True,
    ) -> None:
        super().__init__()
        # The finest stage reads the backbone itself, the others the encoder's memory.
        for stage, reduction in _REDUCTIONS.items():
            inputs = finest_channels if stage == 1 else channels
            block = (
                CrossModalBlock(channels, heads, feedforward, reduction=reduction, dropout=dropout)
                if reads_words
                else PlainBlock()
            )
            self.add_module(f"adapter_{stage}", NormedConv(inputs, channels, 1))
            self.add_module(f"cross_attn_{stage}", block)
            self.add_module(f"layer_{stage}", NormedConv(channels, channels, 3))
        self.mask_features = nn.Conv2d(channels, mask_channels, 3, padding=1)
        nn.init.kaiming_uniform_(self.mask_features.weight, a=1)
        nn.init.zeros_(self.mask_features.get_parameter("bias"))
        for parameter in (
            p for block in self.children() if isinstance(block, CrossModalBlock) for p in block.parameters()
        ):
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    def prepare_finest(self, level: PyramidLevel, clips: int) -> Tensor:
        """Return the stride-4 tokens `(clips, T * h * w, C)` up to their first use of the words."""
        block = self._block(1)
        # What does not depend on the words ends here and is shared by all expressions of a clip.
        lateral: Tensor = self.get_submodule("adapter_1")(level.map)
        return block.mix_frames(PyramidLevel(lateral, level.position, level.padding_mask), clips)

    def coarse(self, levels: Sequence[PyramidLevel], text: TextFeatures) -> Tensor:
        """Return the stride-8 map `(B * T, C, h, w)` of B expressions; `levels` are the memory of strides 8, 16, 32."""
        clips = len(text.words)
        above: Tensor | None = None
        # Strides 32, 16, 8; stride 64 helped the encoder and ends there.
        for stage, level in zip((4, 3, 2), reversed(levels), strict=True):
            lateral: Tensor = self.get_submodule(f"adapter_{stage}")(level.map)
            frames = len(level.map) // clips
            block = self._block(stage)
            tokens = block.mix_frames(PyramidLevel(lateral, level.position, level.padding_mask), clips)
            tokens = block.read_words(tokens, spread_position(level.position, clips, frames), text)
            above = self._descend(stage, to_maps(tokens, (lateral.shape[-2], lateral.shape[-1])), above)
        assert above is not None
        return above

    def finest(
        self, tokens: Tensor, position: Tensor, text: TextFeatures, above: Tensor, size: tuple[int, int]
    ) -> Tensor:
        """Return the stride-4 map `(B * T, C, h, w)` before `mask_features`; frames are independent here.

        Args:
            tokens: `(B or 1, T * h * w, C)` from `prepare_finest`, of all or some frames.
            position: `(B or 1, T * h * w, C)`.
            above: `(B * T, C, h / 2, w / 2)` from `coarse`, of the same frames.
            size: (h, w).
        """
        read = self._block(1).read_words(tokens, position, text)
        return self._descend(1, to_maps(read, size), above)

    def _block(self, stage: int) -> CrossModalBlock | PlainBlock:
        block = self.get_submodule(f"cross_attn_{stage}")
        assert isinstance(block, CrossModalBlock | PlainBlock)
        return block

    def _descend(self, stage: int, lateral: Tensor, above: Tensor | None) -> Tensor:
        """Return the map of a stage: lateral and upper map added, then a 3x3 convolution."""
        merged = lateral if above is None else add_upsampled(lateral, above)
        return torch.relu(self.get_submodule(f"layer_{stage}")(merged))
