"""From frames, masks and boxes to the square network input, and from logits back to the frame.

Source: docs/specs/sam3.md, section 3.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn.functional import interpolate

Resize = Literal["bicubic", "bilinear"]
"""`bicubic`: Pillow's, as the official tracker reads frames; `bilinear`: with antialias, as its image detector."""


def prepare_frame(frame: NDArray[np.uint8], side: int, resize: Resize = "bicubic") -> Tensor:
    """Return a frame as network input `(1, 3, side, side)` float32 in [-1, 1]; the aspect ratio is not kept.

    Args:
        frame: RGB `(H, W, 3)`, 0 to 255.
    """
    if resize == "bicubic":
        small = torch.from_numpy(np.array(Image.fromarray(frame).resize((side, side), Image.Resampling.BICUBIC)))
        pixels = small.permute(2, 0, 1)[None]
    else:
        whole = torch.from_numpy(frame.copy()).permute(2, 0, 1)[None]
        pixels = interpolate(whole, (side, side), mode="bilinear", antialias=True)
    return (pixels.float() / 255 - 0.5) / 0.5


def prepare_mask(mask: Tensor, side: int) -> Tensor:
    """Return a mask `(H, W)` at `(1, 1, side, side)` float32 in [0, 1]; shares of pixels are kept."""
    return shrink((mask > 0).float()[None, None], side)


def prepare_box(box: Tensor, size: tuple[int, int], side: int) -> Tensor:
    """Return the corners `(1, 1, 2, 2)` float32, x before y, in pixels of the network input.

    Args:
        box: `(4,)`, x0, y0, x1, y1 in pixels of the frame.
        size: (H, W) of the frame.
    """
    height, width = size
    return box.float().reshape(1, 1, 2, 2) / torch.tensor([width, height], device=box.device) * side


def shrink(maps: Tensor, side: int) -> Tensor:
    """Return maps `(1, 1, h, w)` at `(1, 1, side, side)` float32, with antialias."""
    return interpolate(maps.float(), (side, side), mode="bilinear", align_corners=False, antialias=True)


def enlarge(logits: Tensor, size: tuple[int, int]) -> Tensor:
    """Return logits `(1, 1, h, w)` at `size`, `(1, 1, H, W)` float32."""
    return interpolate(logits.float(), size, mode="bilinear", align_corners=False)
