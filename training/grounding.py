"""Pre-training of ReferFormer's lower half: find the object of many expressions of a frame at once.

Queries, dynamic masks and the pyramid learn slowly while the words mean nothing yet. Here the maps after the
early fusion and the deformable encoder are read by a plain 1x1 convolution that has to mark the referred
object at strides 8, 16 and 32. One visual pass serves all expressions of a frame, so an hour of a laptop's core
sees many times more expressions than the whole network could. The 1x1 convolutions are thrown away; the weights
below them start ReferFormer, and from there MUTR and SOC.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from runners.checkpoints import save_network
from runners.configs import config_from
from runners.networks.positions import sine_encoding_2d
from runners.networks.pyramid import key_padding, to_maps, to_tokens
from runners.networks.referformer import ReferFormer, ReferFormerConfig
from runners.networks.tokenizers import SmallTokens
from training.config import TrainingConfig
from training.criteria.terms import dice_coefficient
from training.data.clip_augmentation import Clip, flip, resize
from training.data.clips import normalise
from training.data.videos import LabelledVideo, VideoFolder, objects_seen, open_videos
from training.settings import from_mapping

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
        frames, longest: consecutive frames of the clip that a backbone sees, drawn anew for every batch between the
            two; more than one only where the backbone mixes frames.
        grounded: frames of the clip in which the expressions are looked for.
    """

    folder: VideoFolder
    validation: VideoFolder
    expressions: int = 6
    short_side: int = 96
    frames: int = 1
    longest: int = 1
    grounded: int = 1


@dataclass(frozen=True, slots=True, eq=False)
class GroundingBatch:
    """B clips of T frames; E times an expression is looked for in one of N of these frames.

    Args:
        frames: `(B, T, 3, H, W)` float32, normalised.
        picked: `(N,)` int64, the frames in which expressions are looked for, indices into `B * T`.
        owners: `(E,)` int64, which of the N frames.
        ids, mask: `(E, L)` tokens.
        masks: `(E, H, W)` float32, 0 or 1.
        objects: `(N, H, W)` int64, index masks of the N frames.
        targets: `(E,)` int64, the object of each expression.
    """

    frames: Tensor
    picked: Tensor
    owners: Tensor
    ids: Tensor
    mask: Tensor
    masks: Tensor
    objects: Tensor
    targets: Tensor

    def to(self, device: torch.device) -> GroundingBatch:
        """Return the same batch on `device`."""
        values = (getattr(self, name.name) for name in fields(self))
        return GroundingBatch(*(value.to(device) for value in values))


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
        maps = [level[batch.picked[batch.owners]] for level in maps]
        text = network.encode_text(batch.ids, batch.mask)
        keys, padding = text.words + text.position, key_padding(text)
        fused = []
        for level in maps:
            tokens = network.fusion_module(to_tokens(level, len(level)), keys, text.words, padding)
            fused.append(to_maps(tokens, (level.shape[-2], level.shape[-1])))
        masks = [level.new_zeros((1, *level.shape[-2:]), dtype=torch.bool) for level in maps]
        positions = [sine_encoding_2d(mask, network.config.hidden_dim) for mask in masks]
        spread = [mask.expand(len(batch.owners), -1, -1) for mask in masks]
        encoded = network.transformer.encode(fused, spread, positions).maps()
        return [readout(level)[:, 0] for readout, level in zip(self.readouts, encoded[:-1], strict=True)]


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """One clip and what is looked for in it.

    Args:
        frames: `(T, 3, H, W)`, normalised.
        picked: frames in which expressions are looked for.
        found: a one-frame clip for each expression, a list for each of `picked`.
    """

    frames: Tensor
    picked: tuple[int, ...]
    found: list[list[Clip]]


class GroundingTask:
    """Task of the pre-training; one sample a frame, which is the first of its clip."""

    def __init__(self, config: ReferFormerConfig, data: GroundingData) -> None:
        self.network: nn.Module = GroundingNetwork(config)
        self._config, self._data = config, data
        self._tokens = SmallTokens()
        self._videos = open_videos(data.folder)
        self._validation = open_videos(data.validation)
        self._samples = [(i, frame) for i, video in enumerate(self._videos) for frame in range(video.n_frames)]
        self.n_samples = len(self._samples)

    def batch(self, indices: list[int], seeds: list[int]) -> GroundingBatch:
        """Return frames, half of them mirrored, with randomly drawn expressions."""
        samples = [self._samples[index] for index in indices]
        data, first_random = self._data, np.random.default_rng(seeds[0])
        length = int(first_random.integers(data.frames, data.longest, endpoint=True))
        length = min(length, *(self._videos[number].n_frames for number, _ in samples))
        views = []
        for (number, frame), seed in zip(samples, seeds, strict=True):
            random = np.random.default_rng(seed)
            picked = sorted(int(place) for place in random.permutation(length)[: data.grounded])
            views.append(self._view(self._videos[number], (frame, length), picked, random))
        return self._assemble(views)

    def _view(
        self,
        video: LabelledVideo,
        span: tuple[int, int],
        picked: Sequence[int],
        random: np.random.Generator | None,
    ) -> _View:
        """Return a clip of `span` (first frame, length) and, for its frames `picked`, one-frame clips of expressions.

        Args:
            random: draws the expressions, and whether the clip is mirrored; None: all of them, as it is.
        """
        first = min(span[0], video.n_frames - span[1])
        frames = video.frames(range(first, first + span[1]))
        nothing = np.zeros(frames.shape[:3], bool)
        whole = resize(Clip(frames, nothing, ""), self._data.short_side)
        mirrored = random is not None and random.random() < 0.5
        found = []
        for place in picked:
            clips = self._clips(video, first + place)
            if random is not None:
                clips = [clips[i] for i in random.permutation(len(clips))[: self._data.expressions]]
            found.append([flip(clip) if mirrored else clip for clip in clips])
        return _View(normalise(flip(whole).frames if mirrored else whole.frames), tuple(picked), found)

    def _clips(self, video: LabelledVideo, frame: int) -> list[Clip]:
        """Return a one-frame clip for every expression whose object is in the frame."""
        image, label = video.frames([frame]), video.labels([frame])
        seen = {str(name) for name in objects_seen(label, least=_LEAST_PIXELS)}
        clips = [
            Clip(image, label == int(text.object_ids[0]), " ".join(text.text.lower().split()))
            for text in video.video.expressions
            if seen.issuperset(text.object_ids)
        ]
        return [resize(clip, self._data.short_side) for clip in clips]

    def _assemble(self, views: Sequence[_View]) -> GroundingBatch:
        length = len(views[0].frames)
        places = [
            (row * length + place, clips)
            for row, view in enumerate(views)
            for place, clips in zip(view.picked, view.found, strict=True)
            if clips
        ]
        found = [clips for _, clips in places]
        owners = torch.tensor([row for row, clips in enumerate(found) for _ in clips])
        ids, mask = self._tokens.encode([clip.text for clips in found for clip in clips])
        masks = torch.from_numpy(np.concatenate([clip.masks for clips in found for clip in clips])).float()
        objects, targets = _index_masks(found)
        frames, picked = torch.stack([view.frames for view in views]), torch.tensor([place for place, _ in places])
        return GroundingBatch(frames, picked, owners, ids, mask, masks, objects, targets)

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
        """Return, as `J&F` (0 to 100), how often the most likely stride-8 pixel lies on the referred object."""
        hits = []
        for video in self._validation:
            length = min(self._data.longest, video.n_frames)
            view = self._view(video, ((video.n_frames - length) // 2, length), [length // 2], None)
            if view.found[0]:
                batch = self._assemble([view])
                best = self.network(batch)[0].flatten(1).argmax(1)
                hits += (_shrunk(batch.masks, _STRIDES[0], None).flatten(1).gather(1, best[:, None]) > 0).tolist()
        return {"J&F": 100 * float(np.mean(hits))}

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
    """Return index masks `(B, H, W)` of the frames' referred objects, and the object of each expression.

    Expressions of one object share its mask, so equal masks are one object.
    """
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
    """Return the cross-entropy of the referred object among the frame's objects and its background.

    An object's score is the mean logit over its pixels. Telling objects apart is what the words are for;
    the losses of the mask spend most of their gradient on telling objects from background.

    Args:
        logits: `(E, h, w)` at stride 8.
    """
    n_objects = int(batch.objects.max()) + 1
    regions = F.one_hot(batch.objects, n_objects).permute(0, 3, 1, 2).float()
    regions = F.adaptive_avg_pool2d(regions, (logits.shape[1], logits.shape[2])).flatten(2)[batch.owners]
    area = regions.sum(2)
    scores = (regions @ logits.flatten(1)[..., None])[..., 0] / area.clamp(min=_EPSILON)
    return F.cross_entropy(scores.masked_fill(area == 0, float("-inf")), batch.targets)


@dataclass(frozen=True, slots=True)
class _Settings:
    data: GroundingData


def build(config: TrainingConfig) -> GroundingTask:
    """Return the task."""
    settings = from_mapping(_Settings, {"data": config.data}, where=config.name)
    return GroundingTask(config_from(ReferFormerConfig, config.network), settings.data)
