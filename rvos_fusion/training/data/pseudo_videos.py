"""Clips from single images: the image and warped copies, in random order. Source: soc.md, section 6.3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray

from rvos.errors import ConfigError, InputError
from rvos.settings import Chance, Count, Range, Size
from rvos_fusion.training.data.clip_augmentation import Augmentation, Clip, augment
from rvos_fusion.training.data.layouts import open_videos
from rvos_fusion.training.data.refcoco import ReferFolder, ReferredImage, read_refer
from rvos_fusion.training.data.texts import text_of
from rvos_fusion.training.data.videos import MOTION, LabelledVideo, VideoFolder, objects_seen

_LARGEST_INSET = 0.49
_TRIES = 20


@dataclass(frozen=True, slots=True)
class Warp:
    """How a copy differs from the image; every copy draws its own values.

    Args:
        brightness: a whole number from [-brightness, brightness] is added to all pixels.
        perspective: standard deviation of the way that corners move inwards, in parts of the side.
        rotation: largest angle, degrees.
        translation: largest shift, in parts of the side; one draw serves both axes.
        blur: probability of motion blur; `blur_sizes`: lengths of its path, pixels.
    """

    brightness: Annotated[int, Range(least=0, most=255)] = 40
    perspective: Chance = 0.08
    rotation: float = 20.0
    translation: Chance = 0.1
    blur: Chance = 0.25
    blur_sizes: tuple[Count, ...] = (9, 11)


@dataclass(frozen=True, slots=True)
class PseudoVideoSettings:
    """Clips from images.

    Args:
        refer: data sets in the refer format; one sample a sentence.
        stills: labelled videos whose frames serve as images; one sample an expression and frame, without
            the expressions that only motion decides.
        step: of the frames taken from `stills`.
        frames: of a clip; 1: the image alone.
        augmentation: of the whole clip, afterwards.
    """

    augmentation: Augmentation
    refer: tuple[ReferFolder, ...] = ()
    stills: VideoFolder | None = None
    step: Size = 1
    frames: Count = 8
    warp: Warp = field(default_factory=Warp)

    def __post_init__(self) -> None:
        if bool(self.refer) == (self.stills is not None) or self.frames < 1 or self.step < 1:
            raise ConfigError("images: give refer or stills, and at least 1 for frames and step")


@dataclass(frozen=True, slots=True, eq=False)
class Still:
    """One frame of a labelled video with one of its expressions."""

    video: LabelledVideo
    expression: int
    frame: int

    def read(self) -> Clip:
        """Return a clip of one frame; InputError where a file cannot be read."""
        sentence = self.video.video.expressions[self.expression]
        masks = self.video.labels([self.frame]) == int(sentence.object_ids[0])
        return Clip(self.video.frames([self.frame]), masks, text_of(sentence))


class PseudoVideos:
    """Clips of images; a source of samples beside labelled videos."""

    def __init__(self, settings: PseudoVideoSettings) -> None:
        self.settings = settings
        self._pictures: list[Still | ReferredImage] = [
            sample for folder in settings.refer for sample in read_refer(folder)
        ]
        if settings.stills is not None:
            self._pictures += find_stills(open_videos(settings.stills), settings.step)
        if not self._pictures:
            raise InputError("images: no expression has a visible object; check the annotations")

    def __len__(self) -> int:
        """Return the number of samples."""
        return len(self._pictures)

    def clip(self, index: int, random: np.random.Generator) -> Clip:
        """Return sample `index`, drawn from `random` alone; InputError: it cannot be read, or no object shows."""
        for _ in range(_TRIES):
            clip = make_pseudo_video(self._pictures[index].read(), self.settings.frames, self.settings.warp, random)
            clip = augment(clip, self.settings.augmentation, random)
            if clip.masks.any():
                return clip
            index = int(random.integers(len(self._pictures)))
        raise InputError(f"images: {_TRIES} samples without their object; check the annotations and the crop")

    def clips(self, index: int, random: np.random.Generator, *, expressions: int) -> list[Clip]:
        """Return sample `index`, warped, in a list; ConfigError where more than one expression is asked for."""
        if expressions > 1:
            raise ConfigError("data.expressions: images have one expression a clip; set it to 1 or leave images out")
        return [self.clip(index, random)]


def find_stills(videos: Sequence[LabelledVideo], step: int) -> list[Still]:
    """Return each `step`-th frame with every expression it can decide and shows; InputError: not exactly one object."""
    stills = []
    for video in videos:
        seen = {frame: set(objects_seen(video.labels([frame]))) for frame in range(0, video.n_frames, step)}
        for number, sentence in enumerate(video.video.expressions):
            if video.kinds.get(sentence.id) == MOTION:
                continue
            if len(sentence.object_ids) != 1 or not sentence.object_ids[0].isdigit():
                raise InputError(f"{video.video.id}/{sentence.id}: objects {sentence.object_ids}; give exactly one")
            target = int(sentence.object_ids[0])
            stills += [Still(video, number, frame) for frame, objects in seen.items() if target in objects]
    return stills


def make_pseudo_video(picture: Clip, n_frames: int, settings: Warp, random: np.random.Generator) -> Clip:
    """Return a clip of the picture and `n_frames` - 1 warped copies, in random order."""
    copies = [warp(picture.frames[0], picture.masks[0], settings, random) for _ in range(n_frames - 1)]
    frames = [picture.frames[0], *(frame for frame, _ in copies)]
    masks = [picture.masks[0], *(mask for _, mask in copies)]
    order = random.permutation(n_frames)
    return Clip(np.stack([frames[i] for i in order]), np.stack([masks[i] for i in order]), picture.text)


def warp(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], settings: Warp, random: np.random.Generator
) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Return a changed copy of an image `(H, W, 3)` and its mask `(H, W)`: brightness, perspective, affine, blur."""
    shift = int(random.integers(-settings.brightness, settings.brightness, endpoint=True))
    frame = np.clip(image.astype(np.int16) + shift, 0, 255).astype(np.uint8)
    label = mask.astype(np.uint8)
    height, width = label.shape
    perspective = perspective_matrix(height, width, settings.perspective, random)
    affine = affine_matrix(height, width, settings, random)
    for matrix in (perspective, affine):
        frame = cv2.warpPerspective(frame, matrix, (width, height), flags=cv2.INTER_LINEAR)
        label = cv2.warpPerspective(label, matrix, (width, height), flags=cv2.INTER_NEAREST)
    if random.random() < settings.blur:
        kernel = motion_kernel(int(random.choice(settings.blur_sizes)), random.uniform(0, 360))
        frame = cv2.filter2D(frame, -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    return np.asarray(frame, dtype=np.uint8), label.astype(bool)


def perspective_matrix(height: int, width: int, spread: float, random: np.random.Generator) -> NDArray[np.float64]:
    """Return the 3x3 map that stretches an inner quadrilateral to the frame; corners lie |N(0, spread)| inside."""
    insets = np.minimum(np.abs(random.normal(0, spread, (4, 2))), _LARGEST_INSET) * (width, height)
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], dtype=np.float64)
    inwards = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1)])
    inner = corners + insets * inwards
    return cv2.getPerspectiveTransform(inner.astype(np.float32), corners.astype(np.float32))


def affine_matrix(height: int, width: int, settings: Warp, random: np.random.Generator) -> NDArray[np.float64]:
    """Return the 3x3 map that turns around the centre and shifts by one fraction of both sides."""
    angle = random.uniform(-settings.rotation, settings.rotation)
    fraction = random.uniform(-settings.translation, settings.translation)
    matrix = np.eye(3)
    matrix[:2] = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), angle, 1.0)
    matrix[:2, 2] += fraction * np.array([width, height])
    return matrix


def motion_kernel(size: int, angle: float) -> NDArray[np.float32]:
    """Return the blur `(size, size)` of a straight motion at `angle` degrees; it sums to 1."""
    line = np.zeros((size, size), np.float32)
    line[size // 2] = 1
    turn = cv2.getRotationMatrix2D(((size - 1) / 2, (size - 1) / 2), angle, 1.0)
    turned = np.asarray(cv2.warpAffine(line, turn, (size, size), flags=cv2.INTER_LINEAR), dtype=np.float32)
    return turned / turned.sum()
