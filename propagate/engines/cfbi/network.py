"""CFBI and CFBI+: an image's embeddings, and the logits of a frame given what is remembered.

Source: cfbi.md, sections 2 to 6.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import relu

from propagate.engines.cfbi.backbones import MobileNet
from propagate.engines.cfbi.configs import CfbiConfig
from propagate.engines.cfbi.embeddings import DeepLab, DeepLabMaps, EmbeddingHead, FeaturePyramid
from propagate.engines.cfbi.ensembler import Ensembler

_GROUPS_OF_MAPS = 16


@dataclass(frozen=True, slots=True, eq=False)
class CfbiFeatures:
    """What is made of an image alone.

    Args:
        embeddings: (C, h, w) at each matched stride, finest first.
        low: (1, C, h, w), the backbone's first map.
        size: of the network input (h, w).
    """

    embeddings: tuple[Tensor, ...]
    low: Tensor
    size: tuple[int, int]

    @property
    def n_bytes(self) -> int:
        """Memory that it takes."""
        return sum(maps.numel() * maps.element_size() for maps in (*self.embeddings, self.low))

    @property
    def grids(self) -> tuple[tuple[int, int], ...]:
        """Sizes (h, w) of the embeddings."""
        return tuple((maps.shape[1], maps.shape[2]) for maps in self.embeddings)


class MapReducer(nn.Module):
    """CFBI: a row's maps in fewer or more channels before they join the embeddings."""

    def __init__(self, channels_in: int, channels_out: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels_in, channels_out, 1)
        self.bn = nn.GroupNorm(_GROUPS_OF_MAPS, channels_out)

    def forward(self, maps: Tensor) -> Tensor:
        """Return (rows, channels out, h, w)."""
        return relu(self.bn(self.conv(maps)), inplace=True)


class Cfbi(nn.Module):
    """The whole network; which frames are compared with which is the memory's business."""

    def __init__(self, config: CfbiConfig) -> None:
        super().__init__()
        self.config = config
        biases = (len(config.matching), 1, 1, 1)
        self.bg_bias = nn.Parameter(torch.zeros(biases))
        self.fg_bias = nn.Parameter(torch.zeros(biases))
        self.feature_extracter = DeepLab(config)
        backbone = self.feature_extracter.backbone
        self.embedding: EmbeddingHead | FeaturePyramid
        self.dynamic_prehead: MapReducer | None = None
        maps = [matching.n_maps for matching in config.matching]
        if not isinstance(backbone, MobileNet) and config.is_pyramid:
            self.embedding = FeaturePyramid(config, backbone.middle_channels)
        else:
            self.embedding = EmbeddingHead(config)
            self.dynamic_prehead = MapReducer(maps[0], config.width // 4)
            maps = [config.width // 4]
        # With the embeddings of this frame, and of the last one inside and outside of the row.
        inputs = [n_maps + 3 * config.embedding for n_maps in maps]
        self.dynamic_seghead = Ensembler(config, inputs, head=4 * config.embedding, low_channels=backbone.low_channels)

    def encode(self, image: Tensor) -> CfbiFeatures:
        """Return the features of a normalised image (1, 3, H, W), channels B, G, R."""
        (features,) = self.encode_all(image)
        return features

    def encode_all(self, images: Tensor) -> list[CfbiFeatures]:
        """Return the features of each of several images (B, 3, H, W)."""
        maps: DeepLabMaps = self.feature_extracter(images)
        size = (images.shape[2], images.shape[3])
        each = zip(zip(*self.embedding(maps), strict=True), torch.split(maps.backbone.low, 1), strict=True)
        # Distances are differences of large sums, which half precision does not hold.
        return [CfbiFeatures(tuple(map(Tensor.float, embeddings)), low, size) for embeddings, low in each]

    def biases(self, stride: int, n_rows: int) -> Tensor:
        """Return what is added to the distances of each row at a stride, (rows,)."""
        background, objects = self.bg_bias[stride].flatten(), self.fg_bias[stride].flatten()
        return torch.cat([background, objects.expand(n_rows - 1)])

    def decide(
        self,
        features: CfbiFeatures,
        previous: CfbiFeatures,
        *,
        maps: Sequence[Tensor],
        masks: Sequence[Tensor],
        head: Tensor,
    ) -> Tensor:
        """Return the logits (rows, h, w) of a frame at stride 4.

        Args:
            maps: at each stride, (rows, maps, h, w).
            masks: at each stride, (rows, h, w) float32 0 or 1: the rows of the frame before.
            head: (rows, 4 * embedding), mean embeddings.
        """
        rows = (
            self._decide_row(
                features, previous, [of_all[row] for of_all in maps], [of_all[row] for of_all in masks], head[row, None]
            )
            for row in range(len(head))
        )
        logits, against = torch.stack(list(rows), dim=1)
        if len(logits) == 1:
            return logits
        # How far each object is from being background adds to the background.
        return torch.cat([logits[:1] + against[1:].amin(dim=0, keepdim=True), logits[1:]])

    def _decide_row(
        self,
        features: CfbiFeatures,
        previous: CfbiFeatures,
        maps: Sequence[Tensor],
        masks: Sequence[Tensor],
        head: Tensor,
    ) -> Tensor:
        """Return (2, h, w): a row's logit, and what it adds to that of the background."""
        inputs = []
        for place, (of_stride, inside) in enumerate(zip(maps, masks, strict=True)):
            now, before = features.embeddings[place][None], previous.embeddings[place][None]
            parts = [now, before * inside, before * (1 - inside)]
            if self.dynamic_prehead is None:
                parts.insert(0, of_stride[None])
            else:
                parts.append(self.dynamic_prehead(of_stride[None]))
            inputs.append(parts)
        return self.dynamic_seghead(inputs, head, features.low)
