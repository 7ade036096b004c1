"""SAM 2: from frames, masks and boxes to the square network input, and from logits back to the frame.

Source: docs/specs/sam2.md, section 3.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)


def prepare_frame(frame: NDArray[np.uint8], side: int) -> Tensor:
    """Return a frame as network input `(1, 3, side, side)` float32; the aspect ratio is not kept.

    Pillow's bicubic filter on uint8, as the official loader of JPEG folders: a bilinear one moves logits by 3 to 5 %.

    Args:
        frame: RGB `(H, W, 3)`, 0 to 255.
    """
    small = np.asarray(Image.fromarray(frame).resize((side, side), Image.Resampling.BICUBIC))
    pixels = torch.from_numpy(small / 255.0).permute(2, 0, 1).float()
    mean, deviation = (torch.tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
    return ((pixels - mean) / deviation)[None]


def prepare_mask(mask: Tensor, side: int) -> Tensor:
    """Return a mask `(H, W)` at network size, `(1, 1, side, side)` float32 of 0 and 1."""
    given = (mask > 0).float()[None, None]
    if given.shape[2:] == (side, side):
        return given
    small = interpolate(given, (side, side), mode="bilinear", align_corners=False, antialias=True)
    return (small >= 0.5).float()


def prepare_box(box: Tensor, size: tuple[int, int], side: int) -> Tensor:
    """Return a box `(4,)` of a frame (H, W) as corners `(1, 1, 2, 2)` float32, x before y, in network pixels."""
    height, width = size
    return box.float().reshape(1, 1, 2, 2) / torch.tensor([width, height], device=box.device) * side


def enlarge(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Return logits `(1, 1, h, w)` at `size`, `(1, 1, H, W)` float32."""
    return interpolate(logits.float(), size, mode="bilinear", align_corners=False)
