"""The backbones by name: frames in, maps of strides 4 * 2**l out for l = 0 to 3. Source: backbones.md."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runners.networks.backbones.convmae import ConvMae
from runners.networks.backbones.convnext import ChannelNorm, ConvNext
from runners.networks.backbones.resnet import NormKind, ResNet
from runners.networks.backbones.swin import Swin
from runners.networks.backbones.video_swin import VideoSwin
from rvos.errors import ConfigError
from rvos.settings import Chance, Count, Size

BackboneKind = Literal["resnet", "swin", "video_swin", "convnext", "convmae"]


@dataclass(frozen=True, slots=True)
class BackboneConfig:
    """Sizes of a backbone.

    Args:
        kind: the architecture.
        width: channels of the stem (ResNet) or of the first level (others; the ConvMAE stages are 1, 1.5, 3 times).
        depths: blocks of each stage; three stages for ConvMAE, four for the others.
        heads: attention heads of each stage (Swin, Video-Swin); the last counts for ConvMAE.
        drop_path: largest rate of stochastic depth in training.
        norm: of a ResNet: "frozen" moments as released, "group" for training from scratch.
    """

    kind: BackboneKind
    width: Size
    depths: tuple[Count, ...]
    heads: tuple[Count, ...] = ()
    drop_path: Chance = 0.0
    norm: NormKind = "frozen"

    def __post_init__(self) -> None:
        stages = 3 if self.kind == "convmae" else 4
        if len(self.depths) != stages or min(self.depths) < 1 or self.width < 1:
            raise ConfigError(
                f"backbone {self.kind}: width {self.width} and depths {self.depths}; "
                f"give a positive width and {stages} positive depths"
            )
        if self.kind in ("swin", "video_swin") and len(self.heads) != stages:
            raise ConfigError(f"backbone {self.kind}: heads {self.heads}; give {stages} numbers of heads")

    @classmethod
    def from_name(cls, name: str) -> BackboneConfig:
        """Return the sizes of the backbone `name`, as `find_backbone` does: settings may name it."""
        return find_backbone(name)


def _swins(kind: BackboneKind, prefix: str, drops: Sequence[float]) -> dict[str, BackboneConfig]:
    short, long = (2, 2, 6, 2), (2, 2, 18, 2)
    sizes = (("t", 96, short, 3), ("s", 96, long, 3), ("b", 128, long, 4), ("l", 192, long, 6))
    return {
        f"{prefix}_{name}_p4w7": BackboneConfig(
            kind, width, depths, (heads, 2 * heads, 4 * heads, 8 * heads), drop_path=drop
        )
        for (name, width, depths, heads), drop in zip(sizes, drops, strict=False)
    }


BACKBONES: dict[str, BackboneConfig] = {
    "resnet50": BackboneConfig("resnet", 64, (3, 4, 6, 3)),
    "resnet101": BackboneConfig("resnet", 64, (3, 4, 23, 3)),
    **_swins("swin", "swin", (0.2, 0.2, 0.3, 0.3)),
    **_swins("video_swin", "video_swin", (0.2, 0.2, 0.2)),
    "convnext_large": BackboneConfig("convnext", 192, (3, 3, 27, 3), drop_path=0.5),
    "convmae_base": BackboneConfig("convmae", 256, (2, 2, 11), (12,), drop_path=0.2),
    # For training from scratch on small pictures: 16 channels in the stem, one block a stage.
    "resnet_tiny": BackboneConfig("resnet", 16, (1, 1, 1, 1), norm="group"),
}


def find_backbone(name: str) -> BackboneConfig:
    """Return a backbone's sizes; `video-swin-t` is `video_swin_t_p4w7`, an unknown name a ConfigError."""
    plain = name.lower().replace("-", "_")
    for candidate in (plain, f"{plain}_p4w7", plain.replace("_p4w7", "")):
        if candidate in BACKBONES:
            return BACKBONES[candidate]
    raise ConfigError(f"backbone {name!r} is unknown; choose one of {', '.join(BACKBONES)}")


class Backbone(nn.Module):
    """A body and, for ConvNeXt, the norms of its levels."""

    def __init__(self, config: BackboneConfig) -> None:
        super().__init__()
        self.config = config
        self.body = _build_body(config)
        self.channels: tuple[int, ...] = self.body.channels
        # These norms belong to the wrapper in the released files, beside the body and not below it.
        if config.kind == "convnext":
            self.norm_layers = nn.ModuleList(ChannelNorm(channels) for channels in self.channels)

    @property
    def rounds_down(self) -> bool:
        """Whether sides that are no multiple of the stride lose their remainder, instead of being padded."""
        return self.config.kind in ("convnext", "convmae")

    @property
    def mixes_frames(self) -> bool:
        """Whether the maps of a frame depend on the other frames of its clip."""
        return self.config.kind == "video_swin"

    def forward(self, frames: Tensor) -> list[Tensor]:
        """Return the levels `(B * T, C_l, h_l, w_l)` of normalised frames `(B, T, 3, H, W)`."""
        # (B, T, 3, H, W) as it is, or (B * T, 3, H, W): networks for pictures never see a clip
        levels: list[Tensor] = self.body(frames if self.mixes_frames else frames.flatten(0, 1))
        if self.config.kind == "convnext":
            levels = [norm(level) for norm, level in zip(self.norm_layers, levels, strict=True)]
        return levels


def _build_body(config: BackboneConfig) -> ResNet | Swin | VideoSwin | ConvNext | ConvMae:
    drop = config.drop_path
    if config.kind == "resnet":
        return ResNet(config.depths, config.width, norm=config.norm)
    if config.kind == "swin":
        return Swin(config.width, config.depths, config.heads, drop_path=drop)
    if config.kind == "video_swin":
        return VideoSwin(config.width, config.depths, config.heads, drop_path=drop)
    if config.kind == "convnext":
        return ConvNext(config.width, config.depths, drop_path=drop)
    # 256, 384, 768 as released; other widths keep the proportion.
    widths = (config.width, config.width * 3 // 2, config.width * 3)
    return ConvMae(widths, config.depths, heads=config.heads[-1], drop_path=drop)


def build_backbone(name: str, config: BackboneConfig | None = None) -> Backbone:
    """Return the backbone `name` (ConfigError: unknown), or one of sizes `config`, with random weights."""
    return Backbone(config or find_backbone(name))


def level_masks(padding_mask: Tensor, levels: Sequence[Tensor]) -> list[Tensor]:
    """Return the masks `(N, h_l, w_l)` bool of levels `(N, C_l, h_l, w_l)` of one `(N, H, W)`; true = padding."""
    return [resize_mask(padding_mask, (level.shape[-2], level.shape[-1])) for level in levels]


def resize_mask(padding_mask: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the mask `(N, h, w)` bool: source pixel floor(place * in / out) of `(N, H, W)`."""
    # Plain "nearest", not "nearest-exact": another rule moves the border of the padding by a pixel.
    return F.interpolate(padding_mask[:, None].float(), size=size, mode="nearest")[:, 0].bool()


def keep_annotated(level: Tensor, clips: int, annotated: Tensor) -> Tensor:
    """Return a level `(B * T, C, h, w)` of B clips in the frame `annotated` `(B,)` int64 of each, `(B, C, h, w)`.

    Source: soc.md, section 2.10; referformer.md, section 8.
    """
    return torch.unflatten(level, 0, (clips, -1))[torch.arange(clips, device=level.device), annotated]


def repeat_clips(level: Tensor, clips: int, times: int) -> Tensor:
    """Return a level `(B * T, C, h, w)` of B clips with every clip `times` times in a row."""
    if times == 1:
        return level
    # (B * T, C, h, w) -> (B, T, C, h, w) -> (B * E, T, C, h, w) -> (B * E * T, C, h, w)
    return torch.unflatten(level, 0, (clips, -1)).repeat_interleave(times, 0).flatten(0, 1)
