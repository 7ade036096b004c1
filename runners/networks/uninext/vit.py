"""Plain vision transformer with windowed and global attention and decomposed relative positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runners.networks.backbones.convmae import GridBlock, resize_positions
from runners.networks.uninext.config import VitSizes


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
        self.patch_embed = PatchEmbedding(sizes)
        self.pos_embed = nn.Parameter(torch.zeros(1, sizes.pretrain_grid**2 + 1, sizes.width))
        # Blocks that the list does not name see the whole frame.
        windows = [sizes.window if index in sizes.windowed else 0 for index in range(sizes.depth)]
        tables = {"table_size": sizes.relative_grid, "mlp_ratio": sizes.mlp_ratio}
        self.blocks = nn.ModuleList(GridBlock(sizes.width, sizes.heads, window=one, **tables) for one in windows)
        self.fpn1 = nn.Sequential(nn.ConvTranspose2d(sizes.width, sizes.width // 2, 2, stride=2))

    def positions(self, height: int, width: int) -> Tensor:
        """Return the position table on a grid, `(1, height, width, C)`; its class entry is not used."""
        # Row 0 was for the class token of the pre-training.
        return resize_positions(self.pos_embed[:, 1:], height, width)

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Return res3, res4, res5 of frames `(N, 3, H, W)`; sides are multiples of twice the patch."""
        tokens = self.patch_embed(frames)
        tokens = tokens + self.positions(*tokens.shape[1:3])
        for block in self.blocks:
            tokens = block(tokens)
        # (N, h, w, C) -> (N, C, h, w); one map for all three strides, and no norm at the end
        maps = tokens.permute(0, 3, 1, 2).contiguous()
        return [self.fpn1(maps), maps, F.max_pool2d(maps, 2)]
