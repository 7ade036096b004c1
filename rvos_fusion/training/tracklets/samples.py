"""Samples of the grounding training: candidates of a video, its sentences, and which candidate each of them means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from runners.networks.tracklets.network import Paths, average_area
from runners.networks.tracklets.paths import PATH_FEATURES, describe_paths
from rvos.errors import ConfigError, InputError
from rvos.settings import Chance, Count, Positive, Range
from rvos_fusion.training.data.batches import Batch
from rvos_fusion.training.data.clip_augmentation import Clip, resize
from rvos_fusion.training.data.clips import normalise
from rvos_fusion.training.data.layouts import open_videos
from rvos_fusion.training.data.refcoco import ReferFolder, open_refer
from rvos_fusion.training.data.texts import mirror_text, text_of
from rvos_fusion.training.data.videos import MOTION, LabelledVideo, VideoFolder, object_of, objects_seen
from rvos_fusion.training.tracklets.candidates import CandidateSettings, make_candidates, tracklet_overlaps

_LEAST_PIXELS = 30


@dataclass(frozen=True, slots=True)
class TrackletData:
    """Labelled videos or images, and how they become samples.

    Args:
        folder: of videos; `refer`: images of data sets in the refer format, each a video of one frame.
        clips: "frame": one frame is the whole video (pre-training); "video": all frames, of which `frames` are looked
            at while paths come from all of them.
        expressions: of a video at most so many, drawn at random.
        motion: so much likelier than others, sentences that only motion decides are drawn; "frame" has none of them.
        flip: chance of mirroring; "left" and "right" change places in the text.
        least_iou: tracklet-IoU with the truth that a label needs; sentences without one are left out.
        margin: other tracklets within this of the label's IoU are near-duplicates, not wrong: the loss ignores them.
    """

    folder: VideoFolder | None = None
    refer: tuple[ReferFolder, ...] = ()
    clips: Literal["frame", "video"] = "video"
    frames: Count = 2
    expressions: Count = 6
    motion: Positive = 1.0
    flip: Chance = 0.5
    least_iou: Annotated[float, Range(above=0, most=1)] = 0.5
    margin: Chance = 0.15
    candidates: CandidateSettings = field(default_factory=CandidateSettings)

    def __post_init__(self) -> None:
        if (self.folder is None) != bool(self.refer):
            raise ConfigError("data: give folder, or refer")

    def open(self) -> list[LabelledVideo]:
        """Return the videos; InputError: files are missing or damaged."""
        return open_videos(self.folder) if self.folder else [one for refer in self.refer for one in open_refer(refer)]

    @property
    def root(self) -> Path:
        """Where the data are, for messages."""
        return self.folder.root if self.folder else self.refer[0].root


@dataclass(frozen=True, slots=True, eq=False)
class Labels(Batch):
    """What N sentences mean.

    Args:
        videos: `(N,)` int64, the video of each in the batch.
        texts: the sentences.
        kinds: what decides each of them; empty where the data does not say.
        tracklets: `(N,)` int64, the slot that is meant.
        rivals: `(N, P)` bool, slots that are neither right nor wrong.
        shown: `(N, S)` bool, frames in which the meant tracklet has a mask.
        quality: `(N, P)` float32, tracklet-IoU of every slot with the truth.
    """

    videos: Tensor
    texts: tuple[str, ...]
    kinds: tuple[str, ...]
    tracklets: Tensor
    rivals: Tensor
    shown: Tensor
    quality: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class TrackletBatch(Batch):
    """B videos with P slots each; see `GroundingNetwork.encode_slots`."""

    frames: Tensor
    masks: Tensor
    present: Tensor
    paths: Paths
    labels: Labels


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One video with its candidates and sentences.

    Args:
        frames: `(S, h, w, 3)` uint8, those that are looked at.
        chosen: `(S,)` int64, their indices.
        candidates: `(P, T, H, W)` bool.
        texts, kinds: of E sentences.
        quality: `(E, P)` float64, tracklet-IoU with the truth.
    """

    frames: NDArray[np.uint8]
    chosen: NDArray[np.int64]
    candidates: NDArray[np.bool_]
    texts: tuple[str, ...]
    kinds: tuple[str, ...]
    quality: NDArray[np.float64]


class TrackletSamples:
    """One sample a video, of `slots` candidates at most; frames are resized to `short_side` pixels."""

    def __init__(self, data: TrackletData, *, slots: int, short_side: int) -> None:
        self.data, self._slots, self._short_side = data, slots, short_side
        self.videos = data.open()

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self.videos)

    def sample(self, index: int, random: np.random.Generator, *, every: bool = False) -> Sample | None:
        """Return sample `index`; None: no sentence has a tracklet. `every`: all sentences and frames, not mirrored.

        Raises:
            InputError: a file cannot be read, or a sentence names no single object.
        """
        data, video = self.data, self.videos[index]
        span = [int(random.integers(video.n_frames))] if data.clips == "frame" else list(range(video.n_frames))
        labels = video.labels(span)
        seen = objects_seen(labels, least=_LEAST_PIXELS)
        chosen = np.arange(len(span))
        if not every:
            # Different ones where there are as many.
            chosen = np.sort(random.choice(len(span), data.frames, replace=len(span) < data.frames)).astype(np.int64)
        numbers = self._sentences(video, seen, random, every=every)
        if not numbers:
            return None
        truths = np.stack([labels == name for name in seen])
        candidates = make_candidates(truths, data.candidates, most=self._slots, random=random)
        rows = [seen.index(object_of(video, number)) for number in numbers]
        quality = tracklet_overlaps(truths, candidates)[rows]
        labelled = quality.max(1) >= data.least_iou
        kept = [number for number, has in zip(numbers, labelled, strict=True) if has]
        if not kept:
            return None
        frames = video.frames([span[place] for place in chosen])
        texts = tuple(text_of(video.video.expressions[number]) for number in kept)
        kinds = tuple(video.kinds.get(video.video.expressions[number].id, "") for number in kept)
        found = Sample(frames, chosen, candidates, texts, kinds, quality[labelled])
        return mirror(found) if not every and random.random() < data.flip else found

    def _sentences(
        self, video: LabelledVideo, seen: Sequence[int], random: np.random.Generator, *, every: bool
    ) -> list[int]:
        """Return which sentences of a video are asked: those of objects that are seen, some or all."""
        data = self.data
        numbers, weights = [], []
        for number, sentence in enumerate(video.video.expressions):
            moves = video.kinds.get(sentence.id) == MOTION
            if object_of(video, number) in seen and not (moves and data.clips == "frame"):
                numbers.append(number)
                weights.append(data.motion if moves else 1.0)
        if every or len(numbers) <= data.expressions:
            return numbers
        chances = np.array(weights) / np.sum(weights)
        return [int(number) for number in random.choice(numbers, data.expressions, replace=False, p=chances)]

    def collate(self, samples: Sequence[Sample]) -> TrackletBatch:
        """Return samples, each of as many frames, as one batch; InputError: no sample."""
        if not samples:
            raise InputError(f"{self.data.root}: no sentence of a batch has a tracklet; raise loop.batch")
        slots = max(len(sample.candidates) for sample in samples)
        length = max(sample.candidates.shape[1] for sample in samples)
        present = torch.zeros((len(samples), slots), dtype=torch.bool)
        features = torch.zeros((len(samples), length, slots, PATH_FEATURES))
        padding = torch.ones((len(samples), length), dtype=torch.bool)
        frames, masks = [], []
        for row, sample in enumerate(samples):
            n_slots, n_frames = sample.candidates.shape[:2]
            present[row, :n_slots], padding[row, :n_frames] = True, False
            by_frame = np.ascontiguousarray(sample.candidates.transpose(1, 0, 2, 3))
            features[row, :n_frames, :n_slots] = torch.from_numpy(describe_paths(by_frame))
            looked = np.zeros((len(sample.chosen), slots, *by_frame.shape[2:]), np.float32)
            looked[:, :n_slots] = by_frame[sample.chosen]
            masks.append(torch.from_numpy(looked))
            looked_at = Clip(sample.frames, np.zeros(sample.frames.shape[:3], np.bool_), "")
            frames.append(normalise(resize(looked_at, self._short_side).frames))
        paths = Paths(features, padding, torch.from_numpy(np.stack([sample.chosen for sample in samples])))
        labels = self._labels(samples, slots)
        return TrackletBatch(*_stack(frames, masks), present, paths, labels)

    def _labels(self, samples: Sequence[Sample], slots: int) -> Labels:
        videos = [row for row, sample in enumerate(samples) for _ in sample.texts]
        quality = np.zeros((len(videos), slots), np.float32)
        rows = [row for sample in samples for row in sample.quality]
        for place, row in enumerate(rows):
            quality[place, : len(row)] = row
        best = quality.argmax(1)
        top = quality[np.arange(len(best)), best][:, None]
        rivals = (quality >= self.data.least_iou) & (quality >= top - self.data.margin)
        rivals[np.arange(len(best)), best] = False
        shown = [
            samples[video].candidates[slot][samples[video].chosen].any((1, 2))
            for video, slot in zip(videos, best, strict=True)
        ]
        return Labels(
            torch.tensor(videos),
            tuple(text for sample in samples for text in sample.texts),
            tuple(kind for sample in samples for kind in sample.kinds),
            torch.from_numpy(best),
            torch.from_numpy(rivals),
            torch.from_numpy(np.stack(shown)),
            torch.from_numpy(quality),
        )


def _stack(frames: Sequence[Tensor], masks: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Return frames `(S, 3, h, w)` and masks `(S, P, H, W)` as batches.

    Where sizes differ, masks are brought to those of their frames, and both are padded on the right and at the bottom.
    """
    if len({(*frame.shape[-2:], *mask.shape[-2:]) for frame, mask in zip(frames, masks, strict=True)}) == 1:
        return torch.stack(list(frames)), torch.stack(list(masks))
    sizes = [(frame.shape[-2], frame.shape[-1]) for frame in frames]
    height, width = (max(sides) for sides in zip(*sizes, strict=True))
    margins = [(0, width - columns, 0, height - rows) for rows, columns in sizes]
    shrunk = [average_area(mask, size) for mask, size in zip(masks, sizes, strict=True)]
    padded_frames, padded_masks = (
        torch.stack([F.pad(one, margin) for one, margin in zip(some, margins, strict=True)])
        for some in (frames, shrunk)
    )
    return padded_frames, padded_masks


def mirror(sample: Sample) -> Sample:
    """Return the sample mirrored left to right, with its words."""
    frames = np.ascontiguousarray(sample.frames[:, :, ::-1])
    candidates = np.ascontiguousarray(sample.candidates[..., ::-1])
    return replace(sample, frames=frames, candidates=candidates, texts=tuple(map(mirror_text, sample.texts)))
