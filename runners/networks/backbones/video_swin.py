"""Video-Swin: shifted windows over time and space, a map for every frame. Source: backbones.md, section 1."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from runners.networks.backbones.drop_path import linear_rates
from runners.networks.backbones.shifted_windows import PatchMerging, build_blocks, pad_to_patches, start_linear

PATCH = 4
# Eight frames from the first of the clip on: another cut of a video into clips gives other features.
WINDOW = (8, 7, 7)
SHIFT = (4, 3, 3)


class PatchEmbedding3d(nn.Module):
    """One token for each 4x4 patch of each frame."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        # No stride in time, so that every frame keeps a map of its own; stock checkpoints have a kernel of two frames.
        self.proj = nn.Conv3d(3, channels, (1, PATCH, PATCH), (1, PATCH, PATCH))
        self.norm = nn.LayerNorm(channels)

    def forward(self, clips: Tensor) -> Tensor:
        """Return tokens `(B, T, ceil(H / 4), ceil(W / 4), C)` of clips `(B, T, 3, H, W)`."""
        # (B, T, 3, H, W) -> (B, 3, T, H, W) -> (B, C, T, h, w) -> (B, T, h, w, C)
        tokens = self.proj(pad_to_patches(clips, PATCH).transpose(1, 2))
        return self.norm(tokens.permute(0, 2, 3, 4, 1))


class VideoSwin(nn.Module):
    """The four levels of a clip, at strides 4 to 32, without norms on the outputs; channels double from `width` on."""

    def __init__(self, width: int, depths: Sequence[int], heads: Sequence[int], *, drop_path: float = 0.2) -> None:
        super().__init__()
        self.channels = tuple(width * 2**stage for stage in range(len(depths)))
        rates = linear_rates(drop_path, tuple(depths))
        self.patch_embed = PatchEmbedding3d(width)
        stages = (
            build_blocks(channels, count, rate, window=WINDOW, shift=SHIFT, shrinks=True)
            for channels, count, rate in zip(self.channels, heads, rates, strict=True)
        )
        self.layers = nn.ModuleList(nn.Sequential(OrderedDict(blocks=blocks)) for blocks in stages)
        # Beside the stages, not inside of them as in Swin: so the released names want it.
        self.downsamples = nn.ModuleList(PatchMerging(channels) for channels in self.channels[:-1])
        self.apply(start_linear)

    def forward(self, clips: Tensor) -> list[Tensor]:
        """Return the levels `(B * T, C_l, h_l, w_l)` of clips `(B, T, 3, H, W)`; sizes are rounded up."""
        x = self.patch_embed(clips)
        levels = []
        for index, stage in enumerate(self.layers):
            x = stage(x)
            # (B, T, h, w, C) -> (B * T, C, h, w), before the merging and, unlike in Swin, without a norm
            levels.append(x.flatten(0, 1).permute(0, 3, 1, 2))
            if index < len(self.downsamples):
                x = self.downsamples[index](x)
        return levels
