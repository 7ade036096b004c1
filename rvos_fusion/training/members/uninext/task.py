"""Training of a small UNINEXT on referring videos: frames with several expressions each, denoising, validation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from runners.checkpoints.saving import save_network
from runners.networks.text.tokenizers import SmallTokens
from runners.networks.uninext.config import UninextConfig
from runners.networks.uninext.denoising import noisy_boxes
from runners.networks.uninext.network import Uninext
from runners.passes.frame_runner import FrameRunner
from rvos.errors import InputError
from rvos.evaluation.results import ExpressionScore
from rvos.settings import Chance, Count, Side
from rvos_fusion.training.building import build_network
from rvos_fusion.training.config import TrainingConfig
from rvos_fusion.training.criteria.uninext import UninextCriterion, UninextWeights
from rvos_fusion.training.data.batches import Batch
from rvos_fusion.training.data.clip_augmentation import Clip, flip, resize
from rvos_fusion.training.data.clips import ClipBatch, collate
from rvos_fusion.training.data.layouts import open_videos
from rvos_fusion.training.data.targets import ClipTargets
from rvos_fusion.training.data.texts import check_vocabulary
from rvos_fusion.training.data.videos import VideoFolder, objects_seen
from rvos_fusion.training.logs.pictures import MaskPictures
from rvos_fusion.training.members.uninext.questions import (
    NounQuestions,
    Question,
    draw_nouns,
    gather_objects,
    sentences_of,
    texts_of,
)
from rvos_fusion.training.members.uninext.words import WordTargets, gather, single_words, word_loss, words_of
from rvos_fusion.training.scores.members import judge_expressions, measure


@dataclass(frozen=True, slots=True)
class UninextData:
    """Frames of labelled videos, each with some of its expressions.

    Args:
        expressions: of each frame at most so many, drawn at random.
        short_sides: frames are resized to one of these, pixels.
        least: pixels of an object, before the resize, from which on it is trained on.
        nouns: nouns among the questions, beside the sentences.
        negatives: ask also what means nothing in the frame, so that the network learns to find nothing.
        multiple: frames of a batch are padded to a multiple of this.
    """

    folder: VideoFolder
    expressions: Count = 4
    short_sides: tuple[Side, ...] = (320, 352, 392, 416, 448, 480, 512, 544, 576, 608, 640)
    flip: Chance = 0.5
    least: int = 30
    nouns: NounQuestions = field(default_factory=NounQuestions)
    negatives: bool = False
    multiple: Side = 32


@dataclass(frozen=True, slots=True)
class UninextOptions:
    """How the network is trained.

    Args:
        denoising_groups: pairs of a noisy box to mend and one to reject, an expression; 0: no denoising.
        words: weight of the loss that teaches the early fusion single words; 0, as officially: none.
        weights: of the other losses.
    """

    denoising_groups: int = 10
    words: float = 0.0
    weights: UninextWeights = field(default_factory=UninextWeights)


@dataclass(frozen=True, slots=True)
class UninextValidation:
    """Videos to validate on, at most so many expressions of each (None: all); `several` as the runner's option."""

    folder: VideoFolder
    expressions: int | None = None
    several: Chance | None = None


@dataclass(frozen=True, slots=True, eq=False)
class UninextBatch(Batch):
    """N expressions in F frames.

    Args:
        clips: one-frame clips, one an expression; expressions of one frame repeat it.
        first: `(F,)` int64, an expression of each frame, whose clip is its picture.
        owners: `(N,)` int64, the frame of each expression.
        ids, mask: `(N, n)` int64.
        objects: what each expression means, K places at most.
        noisy: `(N, groups, 2, 4)`, or None.
        words: what the objects of the frames are called, or None.
    """

    clips: ClipBatch
    first: Tensor
    owners: Tensor
    ids: Tensor
    mask: Tensor
    objects: ClipTargets
    noisy: Tensor | None
    words: WordTargets | None


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """One frame: its questions and their clips, its label map `(h, w)`, the words of objects 1, 2, ..."""

    questions: list[Question]
    clips: list[Clip]
    label: NDArray[np.uint8]
    words: list[Tensor]


class UninextTask:
    """Task of the training; one sample a frame."""

    score = "J&F"

    def __init__(
        self, config: UninextConfig, data: UninextData, options: UninextOptions, validation: UninextValidation | None
    ) -> None:
        self.config = config
        self.network = build_network(lambda: Uninext(config, auxiliary=True), where="uninext")
        self.network.reset_parameters()
        self._data = data
        self._options = options
        self._criterion = UninextCriterion(options.weights)
        self._tokens = SmallTokens(max_tokens=config.text.max_tokens)
        self._words = single_words(self._tokens)
        self._videos = open_videos(data.folder)
        self._samples = [(video, frame) for video in self._videos for frame in range(video.n_frames)]
        self.n_samples = len(self._samples)
        self._validation = validation
        self._judged = open_videos(validation.folder) if validation else []
        self.pictures = MaskPictures()

    def batch(self, indices: list[int], seeds: list[int]) -> UninextBatch:
        """Return frames and expressions, sample i drawn from `seeds[i]` alone; InputError: no referred object."""
        drawn = [self._draw(index, seed) for index, seed in zip(indices, seeds, strict=True)]
        shown = [sample for sample in drawn if sample.clips]
        frames = [sample.clips for sample in shown]
        if not frames:
            raise InputError(f"{self._data.folder.root}: frames without any referred object; check the annotations")
        counts = torch.tensor([len(clips) for clips in frames])
        clips = collate([clip for group in frames for clip in group], multiple=self._data.multiple)
        ids, mask = self._tokens.encode(clips.texts)
        owners = torch.arange(len(frames)).repeat_interleave(counts)
        size = (clips.frames.shape[-2], clips.frames.shape[-1])
        labels = [sample.label for sample in shown]
        objects = gather_objects(labels, [sample.questions for sample in shown], size)
        words = gather(labels, [sample.words for sample in shown], size) if self._options.words else None
        groups, generator = self._options.denoising_groups, torch.Generator().manual_seed(seeds[0])
        noise = noisy_boxes(objects.boxes[:, 0], groups, generator) if groups else None
        return UninextBatch(clips, counts.cumsum(0) - counts, owners, ids, mask, objects, noise, words)

    def _draw(self, index: int, seed: int) -> _Sample:
        """Return the drawn questions of sample `index` with a one-frame clip each, all flipped and resized alike."""
        random = np.random.default_rng(seed)
        video, frame = self._samples[index]
        image, label = video.frames([frame]), video.labels([frame])
        seen = objects_seen(label, least=self._data.least)
        texts = sentences_of(video, seen, negatives=self._data.negatives)
        side, mirrored = int(random.choice(self._data.short_sides)), random.random() < self._data.flip
        settings, count = self._data.nouns, self._data.expressions
        n_nouns = int(random.binomial(count, settings.share)) if settings.share else 0
        nouns = draw_nouns(video, seen, settings, n_nouns, random=random) if n_nouns else []
        questions = [texts[place] for place in random.permutation(len(texts))[: count - n_nouns]] + nouns
        questions = [
            # Denoising copies the first object, so each has its turn.
            replace(one, objects=tuple(random.permutation(one.objects).tolist())) if len(one.objects) > 1 else one
            for one in questions
        ]
        clips = []
        for question in questions:
            clip = resize(Clip(image, np.isin(label, question.objects), question.text), side)
            clips.append(flip(clip) if mirrored else clip)
        height, width = clips[0].masks.shape[1:] if clips else label.shape[1:]
        small = np.asarray(Image.fromarray(label[0]).resize((width, height), Image.Resampling.NEAREST))
        rows = [
            words_of(texts_of(video, name, self._data.nouns), self._tokens, mirrored=mirrored)
            for name in range(1, max(objects_seen(label), default=0) + 1)
        ]
        return _Sample(questions, clips, small[:, ::-1].copy() if mirrored else small, rows)

    def losses(self, batch: UninextBatch, progress: float) -> Mapping[str, Tensor]:
        """Return the weighted losses and their `total`."""
        clips, first = batch.clips, batch.first
        outputs = self.network(
            clips.frames[first, 0],
            clips.padding_mask[first, 0],
            batch.ids,
            batch.mask,
            clips.sizes[first],
            batch.owners,
            batch.noisy,
            None if batch.words is None else self._words.to(batch.ids.device),
        )
        losses = self._criterion(outputs, batch.objects)
        if batch.words is not None and outputs.word_scores is not None:
            losses["words"] = self._options.words * word_loss(outputs.word_scores, outputs.shapes, batch.words)
            losses["total"] = losses["total"] + losses["words"]
        return losses

    def validate(self, folder: Path) -> Mapping[str, float]:
        """Return J, F and J&F (0 to 100) over the expressions of the validation videos."""
        assert self._validation is not None
        device, several = next(self.network.parameters()).device, self._validation.several
        runner = FrameRunner(self.network, self._tokens, device, keep_soft=False, several=several)
        self.pictures.clear()
        scores: list[ExpressionScore] = []
        for video in self._judged:
            asked = [one for one in video.video.expressions if one.object_ids][: self._validation.expressions]
            sequences = list(runner.segment(video.video, asked))
            self.pictures.add_first(video, sequences)
            scores += judge_expressions(video, sequences)
        return measure(scores)

    def export(self, path: Path) -> None:
        """Write the network without the parts that only training reads, in half precision."""
        network = Uninext(self.config)
        trained = self.network.state_dict()
        network.load_state_dict({name: trained[name] for name in network.state_dict()})
        save_network(path, "uninext", self.config, network, torch.float16)


@dataclass(frozen=True, slots=True)
class _Settings:
    network: UninextConfig
    data: UninextData
    options: UninextOptions = field(default_factory=UninextOptions)
    validation: UninextValidation | None = None


def build(config: TrainingConfig) -> UninextTask:
    """Return the task; ConfigError: settings that do not fit, or fewer words than the tokeniser has."""
    settings = config.read(_Settings)
    check_vocabulary(settings.network.text.vocabulary, where=f"{config.name}: network.text.vocabulary")
    return UninextTask(settings.network, settings.data, settings.options, settings.validation)
