"""From a frame to the network's input: the size rule and the normalisation."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from deaot_toolkit.errors import EngineError

# 480 * 1.3 * 800 / 480, as the official evaluation writes it.
LONG_EDGE = 1040
_MEAN = (0.485, 0.456, 0.406)
_DEVIATION = (0.229, 0.224, 0.225)
_STRIDE = 16


def network_size(
    size: tuple[int, int],
    *,
    align_corners: bool,
    scale: float = 1.0,
    long_edge: float | None = LONG_EDGE,
    short_edge: float | None = None,
) -> tuple[int, int]:
    """Return the input size (h, w) of a frame: limits, scale, then the nearest grid size (halves to even).

    Args:
        size: of the frame (H, W).
        align_corners: of the network: sides of 16 n + 1, else 16 n.
        long_edge, short_edge: larger frames are scaled down to meet them; None: no limit.
    """
    height, width = float(size[0]), float(size[1])
    # Short edge before long edge, and only ever down.
    for limit, edge in ((short_edge, min), (long_edge, max)):
        if limit is not None and edge(height, width) > limit:
            factor = limit / edge(height, width)
            height, width = height * factor, width * factor
    sides = []
    # Cut to whole pixels before the grid: rounding here would pick another grid size now and then.
    for side in (int(height * scale), int(width * scale)):
        rest = 1 if align_corners else 0
        # Python's round takes halves to the even neighbour, as the official rule does.
        sides.append(max(_STRIDE * round((side - rest) / _STRIDE) + rest, _STRIDE + rest))
    return sides[0], sides[1]


def prepare_image(frame: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the network input (1, 3, h, w), float32, of a frame.

    The bicubic resize comes before the normalisation, and its overshoot is kept. Raises EngineError: another shape.

    Args:
        frame: RGB (H, W, 3), 0 to 255, uint8 or float.
        size: (h, w), see `network_size`.
    """
    if frame.ndim != 3 or frame.shape[2] != 3 or not frame.numel():
        raise EngineError(f"frame: shape {tuple(frame.shape)}; give RGB (H, W, 3)")
    pixels = frame.permute(2, 0, 1)[None].float()
    if tuple(pixels.shape[2:]) != tuple(size):
        # On float32 in 0..255 without clipping: the official reader does it before it normalises.
        pixels = interpolate(pixels, size, mode="bicubic", align_corners=False)
    mean, deviation = (torch.tensor(values, device=frame.device).view(1, 3, 1, 1) for values in (_MEAN, _DEVIATION))
    return (pixels / 255 - mean) / deviation
