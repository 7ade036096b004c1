"""Swin: shifted windows inside each frame. Source: backbones.md, section 2."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from runners.networks.backbones.drop_path import linear_rates
from runners.networks.backbones.shifted_windows import PatchMerging, build_blocks, pad_to_patches, start_linear

PATCH = 4
# The time axis of the shared block has length 1 here: windows and shifts are those of the two-dimensional network.
WINDOW = (1, 7, 7)
SHIFT = (0, 3, 3)


class PatchEmbedding2d(nn.Module):
    """One token for each 4x4 patch."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.proj = nn.Conv2d(3, channels, PATCH, PATCH)
        self.norm = nn.LayerNorm(channels)

    def forward(self, images: Tensor) -> Tensor:
        """Return tokens `(N, 1, ceil(H / 4), ceil(W / 4), C)` of images `(N, 3, H, W)`."""
        # (N, 3, H, W) -> (N, C, h, w) -> (N, 1, h, w, C)
        tokens = self.proj(pad_to_patches(images, PATCH))
        return self.norm(tokens.permute(0, 2, 3, 1))[:, None]


class SwinStage(nn.Module):
    """The blocks of one resolution and the step to the next."""

    def __init__(self, channels: int, heads: int, rates: Sequence[float], *, merges: bool) -> None:
        super().__init__()
        # Windows stay 7x7 and odd blocks stay shifted even where the map is smaller.
        self.blocks = build_blocks(channels, heads, rates, window=WINDOW, shift=SHIFT, shrinks=False)
        self.downsample: nn.Module = PatchMerging(channels) if merges else nn.Identity()

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the map `(N, 1, H, W, C)` of this stage, and the input of the next."""
        x = self.blocks(x)
        return x, self.downsample(x)


class Swin(nn.Module):
    """The four levels of images, at strides 4 to 32, each with its own norm and twice the channels of the last."""

    def __init__(self, width: int, depths: Sequence[int], heads: Sequence[int], *, drop_path: float = 0.2) -> None:
        super().__init__()
        self.channels = tuple(width * 2**stage for stage in range(len(depths)))
        rates = linear_rates(drop_path, tuple(depths))
        self.patch_embed = PatchEmbedding2d(width)
        self.layers = nn.ModuleList(
            SwinStage(channels, count, rate, merges=index + 1 < len(depths))
            for index, (channels, count, rate) in enumerate(zip(self.channels, heads, rates, strict=True))
        )
        for index, channels in enumerate(self.channels):
            self.add_module(f"norm{index}", nn.LayerNorm(channels))
        self.apply(start_linear)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return the levels `(N, C_l, h_l, w_l)` of images `(N, 3, H, W)`; sizes are rounded up."""
        x = self.patch_embed(images)
        levels = []
        for index, stage in enumerate(self.layers):
            # The next stage goes on from the merged map without the norm.
            level, x = stage(x)
            # (N, 1, h, w, C) -> (N, h, w, C) -> (N, C, h, w)
            normed = self.get_submodule(f"norm{index}")(level[:, 0])
            levels.append(normed.permute(0, 3, 1, 2))
        return levels
