"""Sequences for mask propagation: from labelled videos or from single labelled images, as batches."""

from __future__ import annotations

from collections.abc import Sequence as Items
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
import torch
from torch import Tensor

from rvos.settings import Ascending, Chance, Count, Range, Side
from rvos_fusion.training.data.batches import Batch
from rvos_fusion.training.data.clips import normalise
from rvos_fusion.training.data.layouts import open_videos
from rvos_fusion.training.data.sampling import walk
from rvos_fusion.training.data.sequence_augmentation import (
    Factor,
    Photometric,
    Sequence,
    Warp,
    coarsen,
    paste,
    recolour,
    renumber,
    scale_and_crop,
    warp,
)
from rvos_fusion.training.data.videos import LabelledVideo, VideoFolder, objects_seen

_TRIES = 5


@dataclass(frozen=True, slots=True)
class SequenceSettings:
    """How sequences are made; the defaults are those of AOT's video stage.

    Args:
        folders: labelled videos; `repeats` says how often each counts in an epoch (1 each where empty).
        kind: "video": frames of a video; "static": each sequence is made of one frame by warping.
        frames: of a sequence, the first is the reference.
        size: (H, W) of the network input.
        short_edge, scale: the short edge becomes `short_edge` times a factor drawn from `scale`.
        most_gap: frames between neighbours of a sequence are at most so many.
        least_reference, least_object: pixels of foreground in the reference, and of an object in a cut.
        merge: probability of pasting the objects of a second sequence (1 in the static stage).
        alone: probability of keeping one object only, as masks travel when each expression is propagated by
            itself: its look-alikes are background then.
        coarse: probability of a reference mask as rough as a referring network draws it; a propagation that only
            ever saw true masks keeps the faults of its key frame.
        most_objects: identities of the network.
    """

    folders: tuple[VideoFolder, ...]
    repeats: tuple[Count, ...] = ()
    kind: Literal["video", "static"] = "video"
    frames: Count = 5
    size: tuple[Side, Side] = (465, 465)
    short_edge: Side = 480
    scale: Annotated[tuple[Factor, Factor], Ascending()] = (0.7, 1.3)
    most_gap: tuple[Count, ...] = (3,)
    reverse: Chance = 0.5
    flip: Chance = 0.5
    least_reference: Annotated[int, Range(least=0)] = 200
    least_object: Annotated[int, Range(least=0)] = 100
    merge: Chance = 0.3
    alone: Chance = 0.0
    coarse: Chance = 0.0
    most_objects: Count = 10
    photometric: Photometric = field(default_factory=Photometric)
    warp: Warp = field(default_factory=Warp)


@dataclass(frozen=True, slots=True, eq=False)
class SequenceBatch(Batch):
    """B labelled sequences.

    Args:
        frames: `(B, T, 3, H, W)` float32, normalised.
        labels: `(B, T, H, W)` int64; the objects of the first frame are 1 to n, 255 is ignored.
        references: `(B, H, W)` int64, what is fed as the mask of the first frame: its label, or a coarse form of it.
        n_objects: `(B,)` int64.
        orders: `(B, 1 + ids)` int64, a random order of the identities that keeps the background first;
            identity i of the label goes to channel `orders[b, i]` of the network.
    """

    frames: Tensor
    labels: Tensor
    references: Tensor
    n_objects: Tensor
    orders: Tensor


class Sequences:
    """One sample for every video (and repetition), or for every frame in the static stage."""

    def __init__(self, settings: SequenceSettings) -> None:
        self.settings = settings
        repeats = settings.repeats or (1,) * len(settings.folders)
        gaps = settings.most_gap * (len(settings.folders) if len(settings.most_gap) == 1 else 1)
        self._videos: list[tuple[LabelledVideo, int]] = []
        for folder, repeat, gap in zip(settings.folders, repeats, gaps, strict=True):
            self._videos += [(video, gap) for video in open_videos(folder)] * repeat
        if settings.kind == "static":
            self._samples = [(i, frame) for i, (video, _) in enumerate(self._videos) for frame in range(video.n_frames)]
        else:
            self._samples = [(i, -1) for i in range(len(self._videos))]

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._samples)

    def batch(self, indices: Items[int], seeds: Items[int]) -> SequenceBatch:
        """Return a batch; sample i is drawn from `seeds[i]` alone."""
        frames, labels, references, counts, orders = [], [], [], [], []
        for index, seed in zip(indices, seeds, strict=True):
            random = np.random.default_rng(seed)
            sequence = self.sample(index, random)
            numbered, n_objects = renumber(sequence.labels, most_objects=self.settings.most_objects)
            frames.append(normalise(sequence.frames))
            labels.append(torch.from_numpy(numbered.astype(np.int64)))
            is_coarse = bool(self.settings.coarse) and random.random() < self.settings.coarse
            reference = coarsen(numbered[0], random) if is_coarse else numbered[0]
            references.append(torch.from_numpy(reference.astype(np.int64)))
            counts.append(n_objects)
            shuffled = 1 + random.permutation(self.settings.most_objects)
            orders.append(torch.from_numpy(np.concatenate([[0], shuffled])))
        pictures, masks, fed = (torch.stack(values) for values in (frames, labels, references))
        return SequenceBatch(pictures, masks, fed, torch.tensor(counts), torch.stack(orders))

    def sample(self, index: int, random: np.random.Generator) -> Sequence:
        """Return one augmented sequence; objects are not renumbered yet."""
        sequence = self._one(index, random)
        if random.random() < self.settings.merge:
            other = self._one(int(random.integers(len(self._samples))), random)
            settings = self.settings
            sequence = paste(sequence, other, least=settings.least_object, most_objects=settings.most_objects)
        if self.settings.alone and random.random() < self.settings.alone:
            sequence = _keep_one(sequence, random)
        return sequence

    def _one(self, index: int, random: np.random.Generator) -> Sequence:
        number, frame = self._samples[index]
        video, most_gap = self._videos[number]
        return self._static(video, frame, random) if frame >= 0 else self._moving(video, most_gap, random)

    def _static(self, video: LabelledVideo, frame: int, random: np.random.Generator) -> Sequence:
        settings = self.settings
        (image,), (label,) = video.frames([frame]), video.labels([frame])
        pairs = [warp(image, label, settings.size, settings.warp, random) for _ in range(settings.frames)]
        frames = [recolour(picture, settings.photometric, random) for picture, _ in pairs]
        return Sequence(np.stack(frames), np.stack([mask for _, mask in pairs]))

    def _moving(self, video: LabelledVideo, most_gap: int, random: np.random.Generator) -> Sequence:
        settings = self.settings
        indices = self._pick_frames(video, most_gap, random)
        sequence = Sequence(video.frames(indices), video.labels(indices))
        edge = settings.short_edge * random.uniform(*settings.scale)
        sequence = scale_and_crop(sequence, settings.size, short_edge=edge, least=settings.least_object, random=random)
        if random.random() < settings.flip:
            sequence = Sequence(sequence.frames[:, :, ::-1], sequence.labels[:, :, ::-1])
        frames = [recolour(frame, settings.photometric, random) for frame in sequence.frames]
        return Sequence(np.stack(frames), np.ascontiguousarray(sequence.labels))

    def _pick_frames(self, video: LabelledVideo, most_gap: int, random: np.random.Generator) -> list[int]:
        """Return the frames: a reference with enough foreground, later ones without new objects if possible."""
        settings, picked = self.settings, [0] * self.settings.frames
        for _ in range(_TRIES):
            start = self._pick_reference(video, random)
            picked = walk(video.n_frames, start, settings.frames, random, most=most_gap)
            if random.random() < settings.reverse and _foreground(video, picked[-1]) > settings.least_reference:
                picked = picked[::-1]
            known = set(objects_seen(video.labels(picked[:1])))
            if set(objects_seen(video.labels(picked[1:]))) <= known:
                break
        return picked

    def _pick_reference(self, video: LabelledVideo, random: np.random.Generator) -> int:
        start = 0
        for _ in range(_TRIES):
            start = int(random.integers(video.n_frames))
            if _foreground(video, start) > self.settings.least_reference:
                break
        return start


def _keep_one(sequence: Sequence, random: np.random.Generator) -> Sequence:
    """Return the sequence with one object of its first frame; the others become background."""
    names = objects_seen(sequence.labels[0])
    if not names:
        return sequence
    kept = np.uint8(random.choice(names))
    labels = np.where((sequence.labels == kept) | (sequence.labels == 255), sequence.labels, np.uint8(0))
    return Sequence(sequence.frames, labels)


def _foreground(video: LabelledVideo, frame: int) -> int:
    label = video.labels([frame])
    return int(((label > 0) & (label < 255)).sum())
