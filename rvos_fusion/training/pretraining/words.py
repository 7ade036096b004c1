"""Pre-training of a small visual backbone: at every pixel of an object, the words of its expressions.

No pre-trained weights exist for backbones small enough for a laptop, and any referring data set gives this dense task
for free. The head is thrown away; the backbone starts the referring networks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from runners.checkpoints.saving import write_tensors
from runners.networks.backbones.table import Backbone, BackboneConfig
from runners.networks.text.tokenizers import SmallTokens
from runners.passes.frames import resized_size
from rvos.errors import InputError
from rvos.settings import Size
from rvos_fusion.training.building import build_network
from rvos_fusion.training.config import TrainingConfig
from rvos_fusion.training.data.batches import Batch
from rvos_fusion.training.data.clips import normalise, stack_alike
from rvos_fusion.training.data.layouts import open_videos
from rvos_fusion.training.data.texts import check_vocabulary, mark_words
from rvos_fusion.training.data.videos import LabelledVideo, VideoFolder

_FIRST_BIAS = -4.0
_BACKGROUND_STEP = 7
_STRIDE = 4


@dataclass(frozen=True, slots=True)
class WordNetworkConfig:
    """Sizes: the backbone, and the channels of the pyramid that reads it."""

    backbone: BackboneConfig
    channels: Size = 64
    words: Size = 256


@dataclass(frozen=True, slots=True)
class WordData:
    """Labelled videos, resized to a short side in pixels (None: they stay); both sides must be multiples of 4."""

    folder: VideoFolder
    validation: VideoFolder | None = None
    short_side: Size | None = None


@dataclass(frozen=True, slots=True, eq=False)
class WordBatch(Batch):
    """Single frames with the words of every pixel.

    Args:
        frames: `(B, 1, 3, H, W)` float32, normalised.
        objects: `(B, h, w)` int64 at stride 4; row of `words` that belongs to the pixel, 0 = background.
        words: `(1 + N, V)` float32, 1 where an expression of the object has the word; row 0 is zero.
    """

    frames: Tensor
    objects: Tensor
    words: Tensor


class WordNetwork(nn.Module):
    """Backbone and a plain top-down pyramid with one logit a word at stride 4."""

    def __init__(self, config: WordNetworkConfig) -> None:
        super().__init__()
        self.backbone = Backbone(config.backbone)
        self.lateral = nn.ModuleList(nn.Conv2d(inputs, config.channels, 1) for inputs in self.backbone.channels)
        self.smooth = nn.Conv2d(config.channels, config.channels, 3, padding=1)
        self.classify = nn.Linear(config.channels, config.words)
        nn.init.constant_(self.classify.bias.data, _FIRST_BIAS)

    def forward(self, frames: Tensor, chosen: Tensor) -> Tensor:
        """Return word logits `(N, V)` at the N true pixels of `(B, h, w)` (stride 4) of frames `(B, 1, 3, H, W)`."""
        levels = [lateral(level) for lateral, level in zip(self.lateral, self.backbone(frames), strict=True)]
        top = levels[-1]
        for level in reversed(levels[:-1]):
            top = level + F.interpolate(top, size=level.shape[-2:], mode="nearest")
        pixels = F.relu(self.smooth(top)).permute(0, 2, 3, 1)[chosen]
        return self.classify(pixels)


class WordTask:
    """Task of the pre-training; one sample a frame."""

    score = "word accuracy"

    def __init__(self, network: WordNetwork, data: WordData) -> None:
        self.network: nn.Module = network
        self._n_words = network.classify.out_features
        self._short_side = data.short_side
        self._tokens = SmallTokens()
        self._videos = open_videos(data.folder)
        self._validation = open_videos(data.validation) if data.validation else []
        self._samples = [(i, frame) for i, video in enumerate(self._videos) for frame in range(video.n_frames)]
        self.n_samples = len(self._samples)

    def batch(self, indices: list[int], seeds: list[int]) -> WordBatch:
        """Return frames; mirrored ones with probability one half, which exchanges "left" and "right"."""
        flips = [bool(np.random.default_rng(seed).random() < 0.5) for seed in seeds]
        return self._assemble(self._videos, [self._samples[index] for index in indices], flips)

    def _assemble(
        self, videos: Sequence[LabelledVideo], samples: Sequence[tuple[int, int]], flips: Sequence[bool]
    ) -> WordBatch:
        frames, objects, rows = [], [], [torch.zeros(self._n_words)]
        for (index, frame), mirrored in zip(samples, flips, strict=True):
            video = videos[index]
            step = -1 if mirrored else 1
            image, mask = _resized(video, frame, self._short_side)
            frames.append(normalise(image[None, :, ::step]))
            label = mask[_STRIDE // 2 :: _STRIDE, _STRIDE // 2 :: _STRIDE][:, ::step]
            objects.append(np.where(label > 0, label.astype(np.int64) + len(rows) - 1, 0))
            for name in range(1, int(label.max()) + 1):
                texts = [text.text for text in video.video.expressions if text.object_ids == (str(name),)]
                rows.append(mark_words(texts, self._tokens, self._n_words, mirrored=mirrored))
        return WordBatch(stack_alike(frames), torch.from_numpy(np.stack(objects)), torch.stack(rows))

    def losses(self, batch: WordBatch, progress: float) -> Mapping[str, Tensor]:
        """Return the binary cross-entropy summed over words: mean over object pixels plus mean over background."""
        # A few background pixels tell as much as all of them.
        chosen = (batch.objects > 0).flatten(1)
        chosen[:, ::_BACKGROUND_STEP] = True
        chosen = chosen.view_as(batch.objects)
        owners = batch.objects[chosen]
        logits = self.network(batch.frames, chosen).float()
        each = F.binary_cross_entropy_with_logits(logits, batch.words[owners], reduction="none").sum(1)
        inside = owners > 0
        objects, background = each[inside].sum() / inside.sum().clamp(min=1), each[~inside].mean()
        return {"objects": objects, "background": background, "total": objects + background}

    def validate(self, folder: Path) -> Mapping[str, float]:
        """Return the word accuracy (0 to 100): the part of the likeliest words, as many as are true, that are right."""
        hits, pixels, device = 0.0, 0, next(self.network.parameters()).device
        for index, video in enumerate(self._validation):
            batch = self._assemble(self._validation, [(index, video.n_frames // 2)], [False]).to(device)
            objects = batch.objects[batch.objects > 0]
            logits = self.network(batch.frames, batch.objects > 0).float()
            for row in range(1, len(batch.words)):
                own = batch.words[row]
                picked = logits[objects == row].topk(max(int(own.sum()), 1), dim=1).indices
                hits += float(own[picked].mean(1).sum())
                pixels += len(picked)
        return {self.score: 100 * hits / max(pixels, 1)}

    def export(self, path: Path) -> None:
        """Write the backbone's weights under `backbone.body.*`."""
        state = {
            name: value.detach().cpu().half().contiguous()
            for name, value in self.network.state_dict().items()
            if name.startswith("backbone.")
        }
        write_tensors(path, state, {"rvos_network": "backbone"})


def _resized(video: LabelledVideo, frame: int, short_side: int | None) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a frame `(H, W, 3)` and its index mask `(H, W)` with the given short side."""
    image, label = video.frames([frame])[0], video.labels([frame])[0]
    size = (label.shape[0], label.shape[1])
    wanted = size if short_side is None else resized_size(size, short_side, None)
    if wanted[0] % _STRIDE or wanted[1] % _STRIDE:
        raise InputError(
            f"{video.video.id}: frames of {wanted[0]} x {wanted[1]} pixels (H x W); set data.short_side so that both "
            f"are multiples of {_STRIDE}"
        )
    if wanted == size:
        return image, label
    smaller = Image.fromarray(image).resize(wanted[::-1], Image.Resampling.BILINEAR)
    return np.asarray(smaller), np.asarray(Image.fromarray(label).resize(wanted[::-1], Image.Resampling.NEAREST))


@dataclass(frozen=True, slots=True)
class _Settings:
    network: WordNetworkConfig
    data: WordData


def build(config: TrainingConfig) -> WordTask:
    """Return the task; ConfigError: settings that do not fit, or fewer words than the tokeniser has."""
    settings = config.read(_Settings)
    check_vocabulary(settings.network.words, where=f"{config.name}: network.words")
    return WordTask(build_network(lambda: WordNetwork(settings.network), where=config.name), settings.data)
