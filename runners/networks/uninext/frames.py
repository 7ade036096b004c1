"""UNINEXT's frames: official resizing and normalisation before the network, upsampling and cropping after it."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from runners.networks.uninext.config import FEATURE_STRIDE, MEAN, N_LEVELS, STD
from runners.networks.uninext.masks import OUTPUT_STRIDE, full_size_logits
from rvos.masks.mask_sequences import KeepSoft, SoftMaps

SOFT_RANGE = (-8.0, 8.0)


def input_size(size: tuple[int, int], short_side: int, long_side: int) -> tuple[int, int]:
    """Return a frame's input (H, W) at `short_side`, or within `long_side`. Source: uninext.md, section 2."""
    scale = short_side / min(size)
    height, width = (short_side, scale * size[1]) if size[0] < size[1] else (scale * size[0], short_side)
    if max(height, width) > long_side:
        shrink = long_side / max(height, width)
        height, width = height * shrink, width * shrink
    return max(int(height + 0.5), 1), max(int(width + 0.5), 1)


def resize_frame(frame: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return an RGB frame `(H, W, 3)` at `size` (H, W), by Pillow's bilinear filter on 8-bit values."""
    if frame.shape[:2] == size:
        return frame
    return np.asarray(Image.fromarray(frame).resize((size[1], size[0]), Image.Resampling.BILINEAR))


def normalise(frames: NDArray[np.uint8]) -> Tensor:
    """Return the network input `(T, 3, H, W)` float32 of RGB frames `(T, H, W, 3)`."""
    values = torch.from_numpy(frames.astype(np.float32))
    return ((values - torch.tensor(MEAN)) / torch.tensor(STD)).permute(0, 3, 1, 2).contiguous()


def finish(logits: Tensor, size: tuple[int, int], original: tuple[int, int], *, mirrored: bool = False) -> Tensor:
    """Return mask probabilities `(N, H, W)` float32. Source: uninext.md, section 10, step 6.

    Args:
        logits: `(N, h, w)` at stride 4 of the padded frames.
        size: of the resized frames before padding.
        original: of the frames as read; reached by nearest neighbour, as officially.
        mirrored: the frames were; the probabilities are not.
    """
    probabilities = _crop(logits, size, mirrored=mirrored).sigmoid()
    return F.interpolate(probabilities, size=original, mode="nearest")[:, 0]


def keep_logits(
    logits: Tensor, size: tuple[int, int], keep: KeepSoft
) -> NDArray[np.uint8] | NDArray[np.float16] | None:
    """Return logits `(N, h, w)` of the unpadded frames at a quarter of their `size`, as they are to be kept."""
    return keep_maps(shrink_logits(logits, size, quarter(size)), keep) if keep else None


def keep_maps(soft: Tensor, keep: KeepSoft) -> NDArray[np.uint8] | NDArray[np.float16] | None:
    """Return logits `(N, h, w)` as they are to be kept."""
    maps = SoftMaps.keep(soft.cpu().numpy(), keep, low=SOFT_RANGE[0], high=SOFT_RANGE[1])
    return None if maps is None else maps.values


def quarter(size: tuple[int, int]) -> tuple[int, int]:
    """Return the size of soft maps of frames of `size` before padding."""
    return -(-size[0] // OUTPUT_STRIDE), -(-size[1] // OUTPUT_STRIDE)


def shrink_logits(logits: Tensor, size: tuple[int, int], small: tuple[int, int], *, mirrored: bool = False) -> Tensor:
    """Return logits `(N, h, w)` of the unpadded frames at the size `small`; the other arguments are as in `finish`."""
    cropped = _crop(logits, size, mirrored=mirrored)
    return F.interpolate(cropped, size=small, mode="bilinear", align_corners=False)[:, 0]


def _crop(logits: Tensor, size: tuple[int, int], *, mirrored: bool) -> Tensor:
    """Return the logits `(N, 1, H, W)` float32 of the unpadded frames, mirrored back without moving a pixel."""
    whole = full_size_logits(logits[:, None].float(), size)
    return whole.flip(-1) if mirrored else whole


def count_tokens(size: tuple[int, int], multiple: int) -> int:
    """Return how many tokens the four levels of a frame of `size` (H, W) have after padding, rounded up."""
    height, width = (-(-side // multiple) * multiple for side in size)
    strides = [FEATURE_STRIDE * 2**level for level in range(N_LEVELS)]
    return sum(-(-height // stride) * -(-width // stride) for stride in strides)
