"""Pre-training of a small visual backbone: at every pixel of an object, the words of its expressions.

No pre-trained weights exist for backbones small enough for a laptop. Any referring data set gives this dense
task for free: a pixel's targets are the words that occur in the expressions of the object it belongs to. A
backbone that mixes frames also has to tell how the object moves, which the words alone teach too slowly. The heads
are thrown away; the backbone starts the referring networks.
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

from runners.frames import resized_size
from runners.networks.backbones import Backbone, BackboneConfig
from runners.networks.tokenizers import SmallTokens
from training.checkpoints import write_tensors
from training.config import TrainingConfig
from training.data.clips import normalise
from training.data.videos import LabelledVideo, VideoFolder, open_videos
from training.object_motion import VALUES, object_motion
from training.settings import from_mapping

_SPECIAL_IDS = 4
_FIRST_BIAS = -4.0
_BACKGROUND_STEP = 7
_MOTION_WEIGHT = 3.0


@dataclass(frozen=True, slots=True)
class WordNetworkConfig:
    """Sizes: the backbone, and the channels of the pyramid that reads it."""

    backbone: BackboneConfig
    channels: int = 64
    words: int = 256


@dataclass(frozen=True, slots=True)
class WordData:
    """Labelled videos for training and for validation.

    Args:
        frames, longest: consecutive frames of a clip, drawn anew for every batch between the two.
        short_side: frames are resized to it, pixels; None: they stay. Sides must be multiples of 8 then.
    """

    folder: VideoFolder
    validation: VideoFolder | None = None
    frames: int = 1
    longest: int = 1
    short_side: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class WordBatch:
    """Clips of T frames with the words of every pixel.

    Args:
        frames: `(B, T, 3, H, W)` float32, normalised.
        objects: `(B * T, h, w)` int64 at stride 4; row of `words` that belongs to the pixel, 0 = background.
        words: `(1 + N, V)` float32, 1 where an expression of the object has the word; row 0 is zero.
        motion: `(1 + N, T, 5)` float32, as `object_motion` gives it; NaN where it is not known.
    """

    frames: Tensor
    objects: Tensor
    words: Tensor
    motion: Tensor

    def to(self, device: torch.device) -> WordBatch:
        """Return the same batch on `device`."""
        return WordBatch(*(value.to(device) for value in (self.frames, self.objects, self.words, self.motion)))


class WordNetwork(nn.Module):
    """Backbone and a plain top-down pyramid with one logit a word, and the motion, at stride 4."""

    def __init__(self, config: WordNetworkConfig) -> None:
        super().__init__()
        self.backbone = Backbone(config.backbone)
        self.lateral = nn.ModuleList(nn.Conv2d(inputs, config.channels, 1) for inputs in self.backbone.channels)
        self.smooth = nn.Conv2d(config.channels, config.channels, 3, padding=1)
        self.classify = nn.Linear(config.channels, config.words)
        nn.init.constant_(self.classify.bias.data, _FIRST_BIAS)
        self.move = nn.Linear(config.channels, VALUES) if self.backbone.mixes_frames else None

    def forward(self, frames: Tensor, chosen: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return word logits `(N, V)`, and the motion `(N, 5)` if frames are mixed, at the N true pixels of `chosen`.

        Args:
            frames: `(B, T, 3, H, W)`, normalised.
            chosen: `(B * T, h, w)` bool at stride 4.
        """
        levels = [lateral(level) for lateral, level in zip(self.lateral, self.backbone(frames), strict=True)]
        top = levels[-1]
        for level in reversed(levels[:-1]):
            top = level + F.interpolate(top, size=level.shape[-2:], mode="nearest")
        pixels = F.relu(self.smooth(top)).permute(0, 2, 3, 1)[chosen]
        return self.classify(pixels), None if self.move is None else self.move(pixels)


class WordTask:
    """Task of the pre-training; one sample a frame, which is the first of its clip."""

    def __init__(self, network: WordNetwork, data: WordData) -> None:
        self.network: nn.Module = network
        self._n_words = network.classify.out_features
        self._data = data
        self._tokens = SmallTokens()
        self._videos = open_videos(data.folder)
        self._validation = open_videos(data.validation) if data.validation else []
        self._samples = [(i, frame) for i, video in enumerate(self._videos) for frame in range(video.n_frames)]
        self.n_samples = len(self._samples)

    def batch(self, indices: list[int], seeds: list[int]) -> WordBatch:
        """Return clips; mirrored ones with probability one half, which exchanges "left" and "right"."""
        flips = [bool(np.random.default_rng(seed).random() < 0.5) for seed in seeds]
        samples = [self._samples[index] for index in indices]
        length = int(np.random.default_rng(seeds[0]).integers(self._data.frames, self._data.longest, endpoint=True))
        length = min(length, *(self._videos[number].n_frames for number, _ in samples))
        return self._assemble(self._videos, samples, flips, length)

    def _assemble(
        self,
        videos: Sequence[LabelledVideo],
        samples: Sequence[tuple[int, int]],
        flips: Sequence[bool],
        length: int,
    ) -> WordBatch:
        frames, objects, rows = [], [], [torch.zeros(self._n_words)]
        motion = [np.full((1, length, VALUES), np.nan, np.float32)]
        for (index, frame), mirrored in zip(samples, flips, strict=True):
            video = videos[index]
            step = -1 if mirrored else 1
            first = min(frame, video.n_frames - length)
            images, label = _resized(video, range(first, first + length), self._data.short_side)
            frames.append(normalise(images[:, :, ::step]))
            cells, n_objects = label[:, 2::4, 2::4][:, :, ::step], int(label.max())
            objects.append(_numbered(cells, len(rows)))
            motion.append(object_motion(cells, n_objects=n_objects))
            rows += [self._words_of(video, name, mirrored) for name in range(1, n_objects + 1)]
        stacked = torch.from_numpy(np.concatenate(objects)), torch.stack(rows), torch.from_numpy(np.concatenate(motion))
        return WordBatch(torch.stack(frames), *stacked)

    def _words_of(self, video: LabelledVideo, name: int, mirrored: bool) -> Tensor:
        row = torch.zeros(self._n_words)
        texts = [text.text for text in video.video.expressions if text.object_ids == (str(name),)]
        if mirrored:
            texts = [text.replace("left", "\0").replace("right", "left").replace("\0", "right") for text in texts]
        if texts:
            ids, _ = self._tokens.encode(texts)
            row[ids[ids >= _SPECIAL_IDS]] = 1
        return row

    def losses(self, batch: WordBatch, progress: float) -> Mapping[str, Tensor]:
        """Return the binary cross-entropy summed over words: mean over object pixels plus mean over background.

        The error of the motion is added where the backbone mixes frames.
        """
        # A few background pixels tell as much as all of them.
        chosen = (batch.objects > 0).flatten(1)
        chosen[:, ::_BACKGROUND_STEP] = True
        chosen = chosen.view_as(batch.objects)
        owners = batch.objects[chosen]
        logits, motion = self.network(batch.frames, chosen)
        logits = logits.float()
        each = F.binary_cross_entropy_with_logits(logits, batch.words[owners], reduction="none").sum(1)
        inside = owners > 0
        objects, background = each[inside].sum() / inside.sum().clamp(min=1), each[~inside].mean()
        losses = {"objects": objects, "background": background, "total": objects + background}
        if motion is not None:
            losses["motion"] = _motion_loss(motion.float(), batch, chosen)
            losses["total"] = losses["total"] + _MOTION_WEIGHT * losses["motion"]
        return losses

    def validate(self, folder: Path) -> Mapping[str, float]:
        """Return, as `J&F` (0 to 100), how well object pixels know their words.

        At every object pixel as many of the likeliest words are picked as the object's expressions have; the
        score is the mean part of them that are right.
        """
        hits, pixels = 0.0, 0
        for index, video in enumerate(self._validation):
            length = min(self._data.longest, video.n_frames)
            batch = self._assemble(self._validation, [(index, video.n_frames // 2)], [False], length)
            objects = batch.objects[batch.objects > 0]
            logits = self.network(batch.frames, batch.objects > 0)[0].float()
            for row in range(1, len(batch.words)):
                own = batch.words[row]
                picked = logits[objects == row].topk(max(int(own.sum()), 1), dim=1).indices
                hits += float(own[picked].mean(1).sum())
                pixels += len(picked)
        return {"J&F": 100 * hits / max(pixels, 1)}

    def export(self, path: Path) -> None:
        """Write the backbone's weights under `backbone.body.*`."""
        state = {
            name: value.detach().cpu().half().contiguous()
            for name, value in self.network.state_dict().items()
            if name.startswith("backbone.")
        }
        write_tensors(path, state, {"rvos_network": "backbone"})


def _motion_loss(motion: Tensor, batch: WordBatch, chosen: Tensor) -> Tensor:
    """Return the smooth absolute error over the known values of the chosen pixels."""
    times = torch.arange(len(chosen), device=chosen.device) % batch.frames.shape[1]
    targets = batch.motion[batch.objects[chosen], times[:, None, None].expand_as(chosen)[chosen]]
    known = ~targets.isnan()
    error = F.smooth_l1_loss(motion, targets.nan_to_num(), reduction="none")
    return (error * known).sum() / known.sum().clamp(min=1)


def _resized(
    video: LabelledVideo, frames: Sequence[int], short_side: int | None
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return frames `(T, H, W, 3)` and index masks `(T, H, W)` with the given short side."""
    images, label = video.frames(frames), video.labels(frames)
    size = resized_size((label.shape[1], label.shape[2]), short_side, None) if short_side else label.shape[1:]
    if size == label.shape[1:]:
        return images, label
    pairs = ((images, Image.Resampling.BILINEAR), (label, Image.Resampling.NEAREST))
    resized = [np.stack([np.asarray(Image.fromarray(x).resize(size[::-1], how)) for x in xs]) for xs, how in pairs]
    return resized[0], resized[1]


def _numbered(label: NDArray[np.uint8], first: int) -> NDArray[np.int64]:
    """Return the label with its objects numbered from `first` on, background 0."""
    numbers = label.astype(np.int64)
    return np.where(numbers > 0, numbers + first - 1, 0)


@dataclass(frozen=True, slots=True)
class _Settings:
    network: WordNetworkConfig
    data: WordData


def build(config: TrainingConfig) -> WordTask:
    """Return the task."""
    settings = from_mapping(_Settings, {"network": config.network, "data": config.data}, where=config.name)
    return WordTask(WordNetwork(settings.network), settings.data)
