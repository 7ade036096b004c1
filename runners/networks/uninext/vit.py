"""Plain vision transformer with windowed and global attention and decomposed relative positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runners.networks.attention.grid_attention import GridAttention, attend_in_windows
from runners.networks.backbones.shifted_windows import Mlp
from runners.networks.uninext.config import VitSizes

_EPS = 1e-6


class Block(nn.Module):
    """Pre-norm attention, in windows of a side in tokens or, with 0, globally, and a perceptron."""

    def __init__(self, sizes: VitSizes, window: int) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(sizes.width, eps=_EPS)
        self.attn = GridAttention(sizes.width, sizes.heads, window or sizes.relative_grid)
        self.norm2 = nn.LayerNorm(sizes.width, eps=_EPS)
        self.mlp = Mlp(sizes.width, sizes.mlp_ratio * sizes.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens of the same shape, (N, h, w, C)."""
        normed = self.norm1(tokens)
        tokens = tokens + (attend_in_windows(self.attn, normed, self.window) if self.window else self.attn(normed))
        return tokens + self.mlp(self.norm2(tokens))


class PatchEmbedding(nn.Module):
    """Non-overlapping patches to tokens."""

    def __init__(self, sizes: VitSizes) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, sizes.width, sizes.patch, stride=sizes.patch)

    def forward(self, frames: Tensor) -> Tensor:
        """Return tokens `(N, h, w, C)` of frames `(N, 3, H, W)`."""
        return self.proj(frames).permute(0, 2, 3, 1)


class Vit(nn.Module):
    """Transformer on patches, with maps at strides 8, 16, 32 of its tokens. Source: uninext_backbones.md, section 3."""

    def __init__(self, sizes: VitSizes) -> None:
        super().__init__()
        self.pretrain_grid = sizes.pretrain_grid
        self.patch_embed = PatchEmbedding(sizes)
        self.pos_embed = nn.Parameter(torch.zeros(1, sizes.pretrain_grid**2 + 1, sizes.width))
        self.blocks = nn.ModuleList(
            # Blocks that the list does not name see the whole frame.
            Block(sizes, sizes.window if index in sizes.windowed else 0)
            for index in range(sizes.depth)
        )
        self.fpn1 = nn.Sequential(nn.ConvTranspose2d(sizes.width, sizes.width // 2, 2, stride=2))

    def positions(self, height: int, width: int) -> Tensor:
        """Return the position table on a grid, `(1, height, width, C)`; its class entry is not used."""
        side = self.pretrain_grid
        # Row 0 was for the class token of the pre-training.
        grid = self.pos_embed[:, 1:].view(1, side, side, -1)
        if (height, width) == (side, side):
            return grid
        maps = F.interpolate(grid.permute(0, 3, 1, 2), size=(height, width), mode="bicubic", align_corners=False)
        return maps.permute(0, 2, 3, 1)

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Return res3, res4, res5 of frames `(N, 3, H, W)`; sides are multiples of twice the patch."""
        tokens = self.patch_embed(frames)
        tokens = tokens + self.positions(*tokens.shape[1:3])
        for block in self.blocks:
            tokens = block(tokens)
        # (N, h, w, C) -> (N, C, h, w); one map for all three strides, and no norm at the end
        maps = tokens.permute(0, 3, 1, 2).contiguous()
        return [self.fpn1(maps), maps, F.max_pool2d(maps, 2)]
