"""Clips with one expression each: drawn from labelled videos, augmented, padded to batches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Literal, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from runners.passes import frames as frames_of_runners
from rvos.errors import ConfigError, InputError
from rvos.settings import Count, Size, show
from rvos_fusion.training.data.batches import Batch
from rvos_fusion.training.data.clip_augmentation import Augmentation, Clip, augment
from rvos_fusion.training.data.layouts import open_videos
from rvos_fusion.training.data.sampling import around, spread, windows
from rvos_fusion.training.data.targets import ClipTargets, targets_of
from rvos_fusion.training.data.texts import text_of
from rvos_fusion.training.data.videos import MOTION, LabelledVideo, VideoFolder, objects_of, objects_seen

Sampling = Literal["around", "windows", "spread", "annotated"]
_TRIES = 20


@dataclass(frozen=True, slots=True, eq=False)
class ClipBatch(Batch):
    """B clips of T frames with E expressions each, padded on the right and at the bottom.

    Args:
        frames: `(B, T, 3, H, W)` float32, normalised; padding is 0.
        padding_mask: `(B, T, H, W)` bool, true = padding.
        texts: `B * E` expressions, those of a clip next to each other.
        sizes: `(B * E, 2)` int64, height and width without padding.
        targets: the `B * E` referred objects, in all frames or in the annotated one alone.
        annotated: `(B * E,)` int64, place of the only annotated frame; None: all frames are annotated.
    """

    frames: Tensor
    padding_mask: Tensor
    texts: tuple[str, ...]
    sizes: Tensor
    targets: ClipTargets
    annotated: Tensor | None = None


class ClipSource(Protocol):
    """Samples of one data set."""

    def __len__(self) -> int:
        """Return the number of samples."""

    def clips(self, index: int, random: np.random.Generator, *, expressions: int) -> list[Clip]:
        """Return sample `index` and further expressions with the same frames, augmented alike from `random` alone."""


@dataclass(frozen=True, slots=True)
class VideoClipSettings:
    """Clips from labelled videos.

    Args:
        frames: of a clip.
        sampling: "around": every `step`-th frame is the centre of a sample; "windows": consecutive windows in which the
            object appears; "spread": one sample an expression, over the whole video; "annotated": the window around a
            single annotated frame, where the layout has such.
        step: of the centres, in annotated frames.
        motion: so often as the others, expressions that only motion decides are samples.
        categories: of `meta.json`, in the order of a network's class logits; empty: one class for all objects.
    """

    folder: VideoFolder
    frames: Count
    sampling: Sampling
    augmentation: Augmentation
    step: Size = 5
    motion: Count = 1
    categories: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.categories)) < len(self.categories):
            raise ConfigError("categories: one stands there twice; name each once")
        if (self.sampling == "annotated") != self.folder.has_samples:
            raise ConfigError(
                "sampling: annotated and a layout of single frames, such as a2d-sentences, belong together; "
                "set both or neither"
            )


class VideoClips:
    """Every expression of labelled videos with the frames that `settings.sampling` picks."""

    def __init__(self, settings: VideoClipSettings) -> None:
        self.settings = settings
        self.videos = open_videos(settings.folder, window=settings.frames)
        self._samples = [sample for index, video in enumerate(self.videos) for sample in self._samples_of(index, video)]
        if not self._samples:
            raise InputError(f"{settings.folder.root}: no expression has a visible object; check the annotations")

    def _samples_of(self, index: int, video: LabelledVideo) -> Iterator[tuple[int, int, int]]:
        """Yield (video, expression, place) of a video's samples; a place is a centre or the number of a window."""
        settings = self.settings
        if settings.sampling != "windows":
            places = range(0, video.n_frames, settings.step) if settings.sampling == "around" else range(1)
            yield from ((index, number, place) for number in self._numbers(video) for place in places)
            return
        # Every mask is read once, whatever the number of expressions.
        shown = [set(objects_seen(video.labels([frame]))) for frame in range(video.n_frames)]
        cut = [set().union(*(shown[frame] for frame in frames)) for frames in windows(video.n_frames, settings.frames)]
        for number in self._numbers(video):
            targets = objects_of(video, number)
            yield from ((index, number, place) for place, objects in enumerate(cut) if objects.intersection(targets))

    def _numbers(self, video: LabelledVideo) -> Iterator[int]:
        """Yield the expressions of a video that name an object, those about motion as often as the settings say."""
        for number, sentence in enumerate(video.video.expressions):
            if not sentence.object_ids:
                continue
            times = self.settings.motion if video.kinds.get(sentence.id) == MOTION else 1
            yield from repeat(number, times)

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._samples)

    def clip(self, index: int, random: np.random.Generator) -> Clip:
        """Return sample `index`, or another where no target is visible. Source: referformer.md, section 12.

        Raises:
            InputError: a file cannot be read, or no sample shows its target.
        """
        return self.clips(index, random, expressions=1)[0]

    def clips(self, index: int, random: np.random.Generator, *, expressions: int) -> list[Clip]:
        """Return sample `index` as `clip` does, then other expressions of the video with the same frames.

        Expressions repeat where the video has fewer; the others' objects may be out of view.
        """
        for _ in range(_TRIES):
            video_index, expression, place = self._samples[index]
            video = self.videos[video_index]
            indices = self._indices(video.n_frames, place, random)
            sentences = video.video.expressions
            others = random.permutation(len(sentences)).tolist() if expressions > 1 else []
            numbers = [expression, *(one for one in others if one != expression and sentences[one].object_ids)]
            numbers = [numbers[place % len(numbers)] for place in range(expressions)]
            state = random.bit_generator.state
            drawn = []
            for number in numbers:
                # Every expression gets the same flip and the same size.
                random.bit_generator.state = state
                targets = objects_of(video, number)
                masks = np.isin(video.labels(indices), targets)
                text, label = text_of(sentences[number]), self._label(video, targets)
                clip = Clip(video.frames(indices), masks, text, label, video.annotated)
                drawn.append(augment(clip, self.settings.augmentation, random))
            if drawn[0].masks.any():
                return drawn
            index = int(random.integers(len(self._samples)))
        raise InputError(f"{self.settings.folder.root}: {_TRIES} samples without their object; check the annotations")

    def _indices(self, n_frames: int, place: int, random: np.random.Generator) -> list[int]:
        settings = self.settings
        if settings.sampling == "around":
            return around(n_frames, place, settings.frames, random)
        if settings.sampling == "spread":
            return spread(n_frames, settings.frames, random)
        if settings.sampling == "annotated":
            return list(range(n_frames))
        return windows(n_frames, settings.frames)[place]

    def _label(self, video: LabelledVideo, targets: Sequence[int]) -> int:
        known = self.settings.categories
        if not known:
            return 0
        found = {video.categories.get(str(target)) for target in targets}
        category = found.pop() if len(found) == 1 else None
        if category not in known:
            what = "of no single category" if category is None else show(category)
            raise InputError(
                f"{video.video.id}: object {', '.join(map(str, targets))} is {what}, "
                f"data.videos has {len(known)}; correct categories"
            )
        return known.index(category)


def collate(clips: Sequence[Clip], *, multiple: int = 32, expressions: int = 1) -> ClipBatch:
    """Return clips of equal length as one batch, zero-padded after normalisation. Source: referformer.md, section 2.

    Args:
        multiple: of which both sides are, pixels.
        expressions: so many clips next to each other have the same frames, which are kept once.

    Raises:
        InputError: some clips have one annotated frame and others all.
    """
    sizes = torch.tensor([clip.masks.shape[1:] for clip in clips], dtype=torch.int64)
    height, width = (-(-int(side) // multiple) * multiple for side in sizes.amax(0))
    frames, padding, masks = [], [], []
    for number, clip in enumerate(clips):
        rows, columns = height - clip.masks.shape[1], width - clip.masks.shape[2]
        margin = (0, columns, 0, rows)
        masks.append(F.pad(torch.from_numpy(clip.masks), margin))
        if number % expressions == 0:
            frames.append(F.pad(normalise(clip.frames), margin))
            inside = torch.zeros(clip.masks.shape, dtype=torch.bool)
            padding.append(F.pad(inside, margin, value=True))
    places = [clip.annotated for clip in clips if clip.annotated is not None]
    if places and len(places) < len(clips):
        raise InputError("a batch of clips with one annotated frame and of others; set loop.batch to 1")
    known = torch.stack(masks)
    if places:
        known = known[torch.arange(len(clips)), places][:, None]
    targets = targets_of(known, sizes, torch.tensor([clip.label for clip in clips]))
    texts = tuple(clip.text for clip in clips)
    annotated = torch.tensor(places) if places else None
    return ClipBatch(torch.stack(frames), torch.stack(padding), texts, sizes, targets, annotated)


def stack_alike(frames: Sequence[Tensor]) -> Tensor:
    """Return images as a batch; InputError where they are of several sizes."""
    sizes = sorted({tuple(image.shape[-2:]) for image in frames})
    if len(sizes) > 1:
        shown = " and ".join(f"{height} x {width}" for height, width in sizes[:2])
        raise InputError(f"a batch of frames of {shown} pixels (H x W); set loop.batch to 1, or give data of one size")
    return torch.stack(list(frames))


def normalise(frames: NDArray[np.uint8]) -> Tensor:
    """Return RGB frames `(T, H, W, 3)` uint8 as `(T, 3, H, W)` float32 with ImageNet's mean and deviation removed."""
    return frames_of_runners.normalise(torch.from_numpy(np.ascontiguousarray(frames)))
