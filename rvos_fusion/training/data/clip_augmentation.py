"""Augmentation of clips: flips that mind the text, photometric distortion, crops, resizing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from runners.passes.frames import resized_size
from rvos.errors import ConfigError, InputError
from rvos.settings import Ascending, Chance, Side
from rvos_fusion.training.data.texts import mirror_text


@dataclass(frozen=True, slots=True, eq=False)
class Clip:
    """T frames, the masks of the referred object and the expression.

    Args:
        frames: `(T, H, W, 3)` uint8, RGB.
        masks: `(T, H, W)` bool.
        label: category of the object; 0 where there is one class.
        annotated: the only frame whose mask is known; None: all are.
    """

    frames: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    text: str
    label: int = 0
    annotated: int | None = None

    def __post_init__(self) -> None:
        if self.frames.shape[:3] != self.masks.shape:
            raise InputError(
                f"clip {self.text!r}: frames {self.frames.shape[:3]} but masks {self.masks.shape}; check the annotation"
            )


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What happens to a clip, in this order; the defaults do nothing.

    Args:
        flip: probability of mirroring the clip; "left" and "right" change places in the text.
        photometric: distort each frame's colours as ReferFormer does.
        short_sides: the short side becomes one of these; empty: sizes stay.
        longest: limit of the long side after resizing.
        crop: probability of resizing to `crop_from`, cropping with sides in `crop_sides`, then resizing as above.
    """

    flip: Chance = 0.0
    photometric: bool = False
    short_sides: tuple[Side, ...] = ()
    longest: Side = 640
    crop: Chance = 0.0
    crop_from: tuple[Side, ...] = (400, 500, 600)
    crop_sides: Annotated[tuple[Side, Side], Ascending()] = (384, 600)

    def __post_init__(self) -> None:
        if self.crop > 0 and not self.crop_from:
            raise ConfigError("crop without crop_from; name at least one side")


def augment(clip: Clip, settings: Augmentation, random: np.random.Generator) -> Clip:
    """Return a clip augmented as `settings` say."""
    if settings.flip and random.random() < settings.flip:
        clip = flip(clip)
    if settings.photometric:
        clip = replace(clip, frames=np.stack([distort(frame, random) for frame in clip.frames]))
    if settings.crop and random.random() < settings.crop:
        clip = resize(clip, int(random.choice(settings.crop_from)))
        clip = crop(clip, settings.crop_sides, random)
    if settings.short_sides:
        clip = resize(clip, int(random.choice(settings.short_sides)), longest=settings.longest)
    return clip


def flip(clip: Clip) -> Clip:
    """Return the mirrored clip, its text mirrored too."""
    text = mirror_text(clip.text)
    return replace(clip, frames=clip.frames[:, :, ::-1], masks=clip.masks[:, :, ::-1].copy(), text=text)


def distort(frame: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """Return `(H, W, 3)` uint8 with changed brightness, contrast, saturation, hue, channel order, each with chance 0.5.

    Contrast is changed before saturation and hue, or after them, with equal chance. Source: referformer.md, section 12.
    """
    image = frame.astype(np.float32)
    contrast = random.uniform(0.5, 1.5) if random.random() < 0.5 else 1.0
    contrast_first = random.random() < 0.5
    if random.random() < 0.5:
        image += random.uniform(-32, 32)
    if contrast_first:
        image *= contrast
    image = _change_colours(image, random)
    if not contrast_first:
        image *= contrast
    if random.random() < 0.5:
        image = image[..., random.permutation(3)]
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def _change_colours(image: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """Return the image with saturation scaled by 0.5 to 1.5 and hue turned by up to 18 degrees, each or not."""
    saturation = random.uniform(0.5, 1.5) if random.random() < 0.5 else 1.0
    hue = random.uniform(-18, 18) if random.random() < 0.5 else 0.0
    if saturation == 1.0 and hue == 0.0:
        return image
    hsv = cv2.cvtColor(np.clip(image, 0, 255) / np.float32(255), cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0] + hue) % 360
    hsv[..., 1] = np.clip(hsv[..., 1] * saturation, 0, 1)
    return cv2.cvtColor(hsv.astype(np.float32), cv2.COLOR_HSV2RGB) * np.float32(255)


def resize(clip: Clip, short_side: int, *, longest: int | None = None) -> Clip:
    """Return the clip (masks: nearest) with this short side, or a smaller one that keeps to `longest`."""
    height, width = clip.masks.shape[1:]
    size = resized_size((height, width), short_side, longest)
    if size == (height, width):
        return clip
    frames = [np.asarray(Image.fromarray(frame).resize(size[::-1], Image.Resampling.BILINEAR)) for frame in clip.frames]
    masks = [Image.fromarray(mask).resize(size[::-1], Image.Resampling.NEAREST) for mask in clip.masks]
    return replace(clip, frames=np.stack(frames), masks=np.stack([np.asarray(mask, dtype=bool) for mask in masks]))


def crop(clip: Clip, sides: tuple[int, int], random: np.random.Generator) -> Clip:
    """Return a random cut of the clip; each side is uniform in `sides`, at most the clip's own."""
    height, width = clip.masks.shape[1:]
    rows, columns = (
        int(random.integers(min(sides[0], side), min(sides[1], side), endpoint=True)) for side in (height, width)
    )
    top, left = int(random.integers(height - rows + 1)), int(random.integers(width - columns + 1))
    area = (slice(None), slice(top, top + rows), slice(left, left + columns))
    return replace(clip, frames=clip.frames[area], masks=clip.masks[area])
