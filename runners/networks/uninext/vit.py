"""Plain vision transformer with windowed and global attention and decomposed relative positions."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from runners.networks.uninext.config import VitSizes

_EPS = 1e-6


def resize_relative(table: Tensor, side: int) -> Tensor:
    """Return the rows of a relative table for a grid side of `side` tokens, `(2 * side - 1, C)`.

    A table of another length is interpolated linearly along its length.
    """
    length = 2 * side - 1
    if table.shape[0] == length:
        return table
    # Rows and columns are resized each for itself.
    return F.interpolate(table.T[None], size=length, mode="linear", align_corners=False)[0].T


def pairwise_rows(table: Tensor, side: int) -> Tensor:
    """Return row `a - b + side - 1` of the resized table for all positions a and b, `(side, side, C)`."""
    position = torch.arange(side, device=table.device)
    return resize_relative(table, side)[position[:, None] - position[None, :] + side - 1]


class RelativeAttention(nn.Module):
    """Multi-head attention on a grid of tokens with scores for row and column distances.

    Source: uninext_backbones.md, section 3; the distance terms use the unscaled queries.
    """

    def __init__(self, width: int, heads: int, grid: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.rel_pos_h = nn.Parameter(torch.zeros(2 * grid - 1, width // heads))
        self.rel_pos_w = nn.Parameter(torch.zeros(2 * grid - 1, width // heads))

    def forward(self, tokens: Tensor) -> Tensor:
        """Return attended tokens of the same shape, (N, h, w, C)."""
        batch, height, width, channels = tokens.shape
        # (N, h * w, 3, heads, c) -> three times (N, heads, h * w, c)
        qkv = self.qkv(tokens).view(batch, height * width, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        query, key, value = qkv.unbind(0)
        scores = self._distances(query, height, width)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=scores)
        joined = attended.transpose(1, 2).reshape(batch, height, width, channels)
        result: Tensor = self.proj(joined)
        return result

    def _distances(self, query: Tensor, height: int, width: int) -> Tensor:
        """Return the distance scores of queries `(N, heads, h*w, c)`: `(N, heads, h*w, h*w)`."""
        grid = torch.unflatten(query, 2, (height, width))
        # Unscaled queries, while the attention scales its own: (N, heads, h, w, h) and (N, heads, h, w, w)
        rows = torch.einsum("nahwc,hkc->nahwk", grid, pairwise_rows(self.rel_pos_h, height))
        columns = torch.einsum("nahwc,wkc->nahwk", grid, pairwise_rows(self.rel_pos_w, width))
        # (N, heads, h, w, h, w) -> (N, heads, h * w, h * w)
        return (rows[..., :, None] + columns[..., None, :]).flatten(4, 5).flatten(2, 3)


def to_windows(tokens: Tensor, side: int) -> Tensor:
    """Return non-overlapping windows, row by row: `(N * windows, side, side, C)`; zeros fill the rest."""
    batch, height, width, channels = tokens.shape
    # Filled after the norm; the filling is attended to like any token.
    padded = F.pad(tokens, (0, 0, 0, -width % side, 0, -height % side))
    cells = padded.view(batch, padded.shape[1] // side, side, padded.shape[2] // side, side, channels)
    return cells.transpose(2, 3).reshape(-1, side, side, channels)


def from_windows(windows: Tensor, height: int, width: int) -> Tensor:
    """Return the tokens `(N, height, width, C)` of `to_windows`, its filling cut off."""
    side = windows.shape[1]
    rows, columns = -(-height // side), -(-width // side)
    cells = windows.view(-1, rows, columns, side, side, windows.shape[-1]).transpose(2, 3)
    return cells.reshape(-1, rows * side, columns * side, windows.shape[-1])[:, :height, :width]


class Perceptron(nn.Module):
    """Two linear layers with erf GELU."""

    def __init__(self, width: int, inner: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, inner)
        self.fc2 = nn.Linear(inner, width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens of the same shape."""
        result: Tensor = self.fc2(F.gelu(self.fc1(tokens)))
        return result


class Block(nn.Module):
    """Pre-norm attention and perceptron.

    Args:
        window: side of the windows in tokens; 0: global attention.
    """

    def __init__(self, sizes: VitSizes, window: int) -> None:
        super().__init__()
        self.window = window
        self.norm1 = nn.LayerNorm(sizes.width, eps=_EPS)
        self.attn = RelativeAttention(sizes.width, sizes.heads, window or sizes.relative_grid)
        self.norm2 = nn.LayerNorm(sizes.width, eps=_EPS)
        self.mlp = Perceptron(sizes.width, sizes.mlp_ratio * sizes.width)

    def forward(self, tokens: Tensor) -> Tensor:
        """Return tokens of the same shape, (N, h, w, C)."""
        tokens = tokens + self._attend(self.norm1(tokens))
        result: Tensor = tokens + self.mlp(self.norm2(tokens))
        return result

    def _attend(self, tokens: Tensor) -> Tensor:
        if not self.window:
            attended: Tensor = self.attn(tokens)
            return attended
        return from_windows(self.attn(to_windows(tokens, self.window)), *tokens.shape[1:3])


class PatchEmbedding(nn.Module):
    """Non-overlapping patches to tokens."""

    def __init__(self, sizes: VitSizes) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, sizes.width, sizes.patch, stride=sizes.patch)

    def forward(self, frames: Tensor) -> Tensor:
        """Return tokens `(N, h, w, C)` of frames `(N, 3, H, W)`."""
        result: Tensor = self.proj(frames).permute(0, 2, 3, 1)
        return result


class Vit(nn.Module):
    """Transformer on patches; the last tokens give maps at strides 8, 16, 32.

    Source: uninext_backbones.md, section 3.
    """

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
