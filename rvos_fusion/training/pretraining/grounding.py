"""Pre-training of ReferFormer's lower half: find the object of many expressions of a frame at once.

Queries, dynamic masks and the pyramid learn slowly while the words mean nothing yet. Here 1x1 convolutions, thrown away
afterwards, mark the object at strides 8, 16 and 32 of the encoded maps. One visual pass serves all expressions of a
frame, so that an hour of a laptop's core sees many more of them. The weights start ReferFormer, MUTR and SOC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runners.checkpoints.saving import save_network
from runners.networks.attention.positions import sine_encoding_2d
from runners.networks.referformer.config import ReferFormerConfig
from runners.networks.referformer.network import ReferFormer
from runners.networks.text.tokenizers import fit_tokens
from rvos.errors import InputError
from rvos.settings import Count, Range
from rvos_fusion.training.building import build_network
from rvos_fusion.training.config import TrainingConfig
from rvos_fusion.training.criteria.terms import dice_coefficient
from rvos_fusion.training.data.batches import Batch
from rvos_fusion.training.data.clip_augmentation import Clip, flip, resize
from rvos_fusion.training.data.clips import normalise, stack_alike
from rvos_fusion.training.data.layouts import open_videos
from rvos_fusion.training.data.texts import text_of
from rvos_fusion.training.data.videos import LabelledVideo, VideoFolder, objects_seen

_STRIDES = (8, 16, 32)
_POSITIVE_WEIGHT = 4.0
_LEAST_PIXELS = 30
_EPSILON = 1e-6


@dataclass(frozen=True, slots=True)
class GroundingData:
    """Labelled videos.

    Args:
        expressions: of each frame at most so many, drawn at random.
        short_side: frames are resized to it, pixels; the result must be a multiple of 8 both ways.
    """

    folder: VideoFolder
    validation: VideoFolder
    expressions: Count = 6
    short_side: Annotated[int, Range(least=_STRIDES[-1], most=16_384)] = 96


@dataclass(frozen=True, slots=True, eq=False)
class GroundingBatch(Batch):
    """B frames with E expressions in all.

    Args:
        frames: `(B, 1, 3, H, W)` float32, normalised.
        owners: `(E,)` int64, the frame of each expression.
        ids, mask: `(E, L)` tokens.
        masks: `(E, H, W)` float32, 0 or 1.
        objects: `(B, H, W)` int64, index masks of the frames.
        targets: `(E,)` int64, the object of each expression.
    """

    frames: Tensor
    owners: Tensor
    ids: Tensor
    mask: Tensor
    masks: Tensor
    objects: Tensor
    targets: Tensor


class GroundingNetwork(nn.Module):
    """A ReferFormer with one 1x1 convolution a stride on its encoded maps; its decoder and pyramid rest."""

    def __init__(self, config: ReferFormerConfig) -> None:
        super().__init__()
        self.referformer = ReferFormer(config)
        self.readouts = nn.ModuleList(nn.Conv2d(config.hidden_dim, 1, 1) for _ in _STRIDES)
        # The usual start, deviation 0.02, lets position and type drown the words, and a step of Adam at the
        # rates used here would replace a word altogether.
        words = self.referformer.text_encoder.get_parameter("embeddings.word_embeddings.weight")
        nn.init.normal_(words.data)

    def forward(self, batch: GroundingBatch) -> list[Tensor]:
        """Return logits `(E, h, w)` at strides 8, 16 and 32."""
        network = self.referformer
        levels = network.visual_backbone(batch.frames)
        inputs = (*levels[1:], levels[-1])
        maps = [project(level) for project, level in zip(network.input_proj, inputs, strict=True)]
        maps = [level[batch.owners] for level in maps]
        fused = network.fuse_maps(maps, len(batch.owners), network.encode_text(batch.ids, batch.mask))
        masks = [level.new_zeros((1, *level.shape[-2:]), dtype=torch.bool) for level in maps]
        positions = [sine_encoding_2d(mask, network.config.hidden_dim) for mask in masks]
        spread = [mask.expand(len(batch.owners), -1, -1) for mask in masks]
        encoded = network.transformer.encode(fused, spread, positions).maps()
        return [readout(level)[:, 0] for readout, level in zip(self.readouts, encoded[:-1], strict=True)]


class GroundingTask:
    """Task of the pre-training; one sample a frame."""

    score = "pointing accuracy"

    def __init__(self, config: ReferFormerConfig, data: GroundingData) -> None:
        self.network: nn.Module = build_network(lambda: GroundingNetwork(config), where="grounding")
        self._config, self._data = config, data
        text = config.text
        self._tokens = fit_tokens(None, vocabulary=text.vocab_size, max_tokens=text.max_tokens, where="grounding")
        self._videos = open_videos(data.folder)
        self._validation = open_videos(data.validation)
        self._samples = [(i, frame) for i, video in enumerate(self._videos) for frame in range(video.n_frames)]
        self.n_samples = len(self._samples)

    def batch(self, indices: list[int], seeds: list[int]) -> GroundingBatch:
        """Return frames, half of them mirrored, with randomly drawn expressions."""
        found = []
        for index, seed in zip(indices, seeds, strict=True):
            random = np.random.default_rng(seed)
            number, frame = self._samples[index]
            clips = self._clips(self._videos[number], frame)
            order = random.permutation(len(clips))[: self._data.expressions]
            mirrored = random.random() < 0.5
            found.append([flip(clips[i]) if mirrored else clips[i] for i in order])
        return self._assemble(found)

    def _clips(self, video: LabelledVideo, frame: int) -> list[Clip]:
        """Return a one-frame clip for every expression whose object is in the frame."""
        image, label = video.frames([frame]), video.labels([frame])
        seen = {str(name) for name in objects_seen(label, least=_LEAST_PIXELS)}
        clips = [
            Clip(image, label == int(text.object_ids[0]), text_of(text))
            for text in video.video.expressions
            if seen.issuperset(text.object_ids)
        ]
        return [resize(clip, self._data.short_side) for clip in clips]

    def _assemble(self, found: Sequence[Sequence[Clip]]) -> GroundingBatch:
        found = [clips for clips in found if clips]
        if not found:
            raise InputError(f"{self._data.folder.root}: no frame of a batch shows a named object; raise loop.batch")
        frames = stack_alike([normalise(clips[0].frames) for clips in found])
        owners = torch.tensor([row for row, clips in enumerate(found) for _ in clips])
        ids, mask = self._tokens.encode([clip.text for clips in found for clip in clips])
        masks = torch.from_numpy(np.concatenate([clip.masks for clips in found for clip in clips])).float()
        objects, targets = _index_masks(found)
        return GroundingBatch(frames, owners, ids, mask, masks, objects, targets)

    def losses(self, batch: GroundingBatch, progress: float) -> Mapping[str, Tensor]:
        """Return cross-entropy and dice losses of the three strides, the choice among objects, and their sum."""
        outputs = self.network(batch)
        choice = choice_loss(outputs[0].float(), batch)
        entropy, dice = [], []
        for stride, logits in zip(_STRIDES, outputs, strict=True):
            targets = _shrunk(batch.masks, stride, logits)
            weight = torch.tensor(_POSITIVE_WEIGHT, device=logits.device)
            entropy.append(F.binary_cross_entropy_with_logits(logits.float(), targets, pos_weight=weight))
            dice.append((1 - dice_coefficient(logits.float().sigmoid(), targets)).mean())
        terms = {"entropy": torch.stack(entropy).mean(), "dice": torch.stack(dice).mean(), "choice": choice}
        return terms | {"total": 3 * terms["entropy"] + terms["dice"] + terms["choice"]}

    def validate(self, folder: Path) -> Mapping[str, float]:
        """Return the pointing accuracy (0 to 100): how often the likeliest cell of stride 8 is on the object."""
        hits, device = [], next(self.network.parameters()).device
        for video in self._validation:
            clips = self._clips(video, video.n_frames // 2)
            if clips:
                batch = self._assemble([clips]).to(device)
                best = self.network(batch)[0].flatten(1).argmax(1)
                hits += (_shrunk(batch.masks, _STRIDES[0], None).flatten(1).gather(1, best[:, None]) > 0).tolist()
        return {self.score: 100 * float(np.mean(hits))}

    def export(self, path: Path) -> None:
        """Write the ReferFormer; what was not trained holds its initial values."""
        network = self.network.get_submodule("referformer")
        save_network(path, "referformer", self._config, network)


def _shrunk(masks: Tensor, stride: int, like: Tensor | None) -> Tensor:
    """Return the masked part of every cell, `(E, h, w)`."""
    size = (
        (like.shape[-2], like.shape[-1]) if like is not None else (masks.shape[1] // stride, masks.shape[2] // stride)
    )
    return F.adaptive_avg_pool2d(masks[:, None], size)[:, 0]


def _index_masks(found: Sequence[Sequence[Clip]]) -> tuple[Tensor, Tensor]:
    """Return index masks `(B, H, W)`, equal masks as one object, and the object of each expression."""
    maps, targets = [], []
    for clips in found:
        labels = np.zeros(clips[0].masks.shape[1:], np.int64)
        for clip in clips:
            shown = clip.masks[0]
            number = int(labels[shown].max(initial=0)) or int(labels.max()) + 1
            labels[shown] = number
            targets.append(number)
        maps.append(labels)
    return torch.from_numpy(np.stack(maps)), torch.tensor(targets)


def choice_loss(logits: Tensor, batch: GroundingBatch) -> Tensor:
    """Return the cross-entropy of the object among its frame's, by mean logits `(E, h, w)` over their pixels.

    Telling objects apart is what the words are for; the mask's losses mostly tell objects from background.
    """
    n_objects = int(batch.objects.max()) + 1
    regions = F.one_hot(batch.objects, n_objects).permute(0, 3, 1, 2).float()
    regions = F.adaptive_avg_pool2d(regions, (logits.shape[1], logits.shape[2])).flatten(2)[batch.owners]
    area = regions.sum(2)
    scores = (regions @ logits.flatten(1)[..., None])[..., 0] / area.clamp(min=_EPSILON)
    return F.cross_entropy(scores.masked_fill(area == 0, float("-inf")), batch.targets)


@dataclass(frozen=True, slots=True)
class _Settings:
    network: ReferFormerConfig
    data: GroundingData


def build(config: TrainingConfig) -> GroundingTask:
    """Return the task."""
    settings = config.read(_Settings)
    return GroundingTask(settings.network, settings.data)
