"""From frame files to network input, and from mask logits to mask sequences."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from rvos.errors import CheckpointError, InputError
from rvos.masks.mask_sequences import KeepSoft, MaskSequence, SoftMaps, encode
from rvos.videos import Expression, Video

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
_THRESHOLD = 0.5
_FRAMES_AT_ONCE = 8


def resized_size(size: tuple[int, int], short_side: int, long_side: int | None = None) -> tuple[int, int]:
    """Return the (height, width) that frames of `size` are resized to, pixels.

    The short side becomes `short_side`, less where the long one would pass `long_side`; the long one is rounded down.

    Source: referformer.md, section 2.
    """
    short, long = min(size), max(size)
    if long_side is not None and short_side * long > long_side * short:
        short_side = max(1, round(long_side * short / long))
    other = int(short_side * long / short)
    return (short_side, other) if size[0] <= size[1] else (other, short_side)


def read_clip(
    video: Video, indices: Sequence[int], *, short_side: int, long_side: int | None = None, smallest: int = 1
) -> Tensor:
    """Return frames as network input, `(T, 3, h, w)` float32: resized by Pillow's bilinear filter, then normalised.

    Args:
        indices: of the frames in the video's list.
        short_side, long_side: see `resized_size`.
        smallest: side in pixels that the network needs at least.

    Raises:
        InputError: a frame cannot be read, is of another size than the first, or too narrow after the resize.
    """
    original = video.read_size()
    height, width = resized_size(original, short_side, long_side)
    if min(height, width) < smallest:
        raise InputError(
            f"{video.id}: frames of {original[0]}x{original[1]} become {height}x{width}, the network needs "
            f"{smallest} pixels a side; raise short_side"
        )
    clip = np.empty((len(indices), height, width, 3), np.uint8)
    for place, index in enumerate(indices):
        frame = Image.fromarray(read_frame(video, index, original))
        clip[place] = np.asarray(frame.resize((width, height), Image.Resampling.BILINEAR))
    return normalise(torch.from_numpy(clip))


def read_frame(video: Video, index: int, original: tuple[int, int]) -> NDArray[np.uint8]:
    """Return one RGB frame `(H, W, 3)`; all frames of a video have one size, `original`.

    Raises:
        InputError: it cannot be read, or is of another size.
    """
    frame = video.read_frame(index)
    if frame.shape[:2] != original:
        raise InputError(
            f"{video.id}/{video.frames[index]}: frame is {frame.shape[0]}x{frame.shape[1]} but the first is "
            f"{original[0]}x{original[1]}; give frames of one size"
        )
    return frame


def normalise(frames: Tensor) -> Tensor:
    """Return `(T, 3, H, W)` float32, ImageNet-normalised, of RGB frames `(T, H, W, 3)` uint8."""
    values = frames.permute(0, 3, 1, 2).float().div_(255)
    return values.sub_(torch.tensor(MEAN).view(3, 1, 1)).div_(torch.tensor(STD).view(3, 1, 1)).contiguous()


def mask_runs(logits: Tensor, size: tuple[int, int]) -> tuple[bytes, ...]:
    """Return the run lengths of the masks that `logits` `(T, h, w)` give at frame `size` (H, W).

    The logits are resized before the sigmoid, bilinearly and in float32, a few frames at a time.

    Source: referformer.md, section 8.
    """
    runs: list[bytes] = []
    for part in torch.split(logits, _FRAMES_AT_ONCE):
        whole = F.interpolate(part[:, None].float(), size=size, mode="bilinear", align_corners=False)[:, 0]
        runs.extend(encode((whole.sigmoid() > _THRESHOLD).cpu().numpy()))
    return tuple(runs)


def to_mask_sequence(
    video: Video,
    expression: Expression,
    logits: Tensor,
    scores: Tensor,
    *,
    size: tuple[int, int],
    keep_soft: KeepSoft = True,
    key_frame: int | None = None,
) -> MaskSequence:
    """Return the mask sequence of one expression.

    Args:
        logits: `(T, h, w)` at the network's resolution.
        scores: `(T,)`, higher is better.
        size: (H, W) of the original frames.
        keep_soft: keep the logits beside the hard masks, as `uint8` (true) or `float16`.
        key_frame: chosen by an explicit rule; None: the first maximum of the scores.

    Raises:
        CheckpointError: logits or scores are not finite.
    """
    logits, scores = logits.float(), scores.float().cpu()
    if not (bool(logits.isfinite().all()) and bool(scores.isfinite().all())):
        raise CheckpointError(
            f"{video.id}/{expression.id}: logits or scores are not finite; use precision float32 or bfloat16, "
            "or check the checkpoint"
        )
    soft = SoftMaps.keep(logits.cpu().numpy(), keep_soft)
    return MaskSequence(
        video.id, expression.id, video.frames, size, mask_runs(logits, size), scores.numpy(), key_frame, soft
    )
