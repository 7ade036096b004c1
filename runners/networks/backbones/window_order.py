"""Where the cells of a map stand when it is cut into windows. Source: backbones.md, sections 1.2, 1.3 and 2."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn import functional as F

Sizes = tuple[int, int, int]
# Added to a score; the official mask is finite as well.
_FORBIDDEN = -100.0
# Maps of four stages, still and shifted, of two frame sizes.
_KEPT_ORDERS = 16


@dataclass(frozen=True, slots=True, eq=False)
class WindowGroup:
    """The n windows of a map whose N tokens may attend to each other in the same way.

    Args:
        cells: `(n * N,)` int32, the cell at each place; 0 at places without one.
        padding: `(P,)` int64, the places without a cell. They are ordinary keys: only the wrapped border of a rolled
            map is masked.
        mask: `(N, N)` additive, 0 and -100.
    """

    cells: Tensor
    padding: Tensor
    mask: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class WindowOrder:
    """All windows of a map of L cells; `places` `(L,)` int32: where each cell stands among those of all groups."""

    groups: tuple[WindowGroup, ...]
    places: Tensor


@lru_cache(maxsize=_KEPT_ORDERS)
def window_order(sizes: Sizes, window: Sizes, shift: Sizes, device: torch.device) -> WindowOrder:
    """Return the windows of a padded map, rolled by `shift`: one gathering by them pads, rolls and cuts at once."""
    # Kept between calls: tensors made under inference mode could not be used in training afterwards.
    with torch.inference_mode(False):
        return _window_order(sizes, window, shift, device)


def _window_order(sizes: Sizes, window: Sizes, shift: Sizes, device: torch.device) -> WindowOrder:
    frames, rows, columns = sizes
    ends = [-size % width for size, width in zip(sizes, window, strict=True)]
    numbers = torch.arange(frames * rows * columns, dtype=torch.int32).view(1, *sizes, 1)
    numbers = F.pad(numbers, (0, 0, 0, ends[2], 0, ends[1], 0, ends[0]), value=-1)
    padded = (numbers.shape[1], numbers.shape[2], numbers.shape[3])
    # (1, T, H, W, 1) -> (windows, N); -1 where there is no cell
    in_windows = to_windows(numbers.roll([-step for step in shift], (1, 2, 3)), window)[0, :, :, 0]
    groups, cells = [], []
    for members, mask in window_groups(padded, window, shift):
        cells.append(in_windows[members].flatten())
        padding = (cells[-1] < 0).nonzero()[:, 0]
        groups.append(WindowGroup(cells[-1].clamp(min=0).to(device), padding.to(device), mask.to(device)))
    # Sorted by cell: the padding comes first, then the place of every cell in the order of the map.
    places = torch.cat(cells).argsort(stable=True)[-frames * rows * columns :].to(torch.int32)
    return WindowOrder(tuple(groups), places.to(device))


def effective_window(sizes: Sizes, window: Sizes, shift: Sizes, *, shrinks: bool) -> tuple[Sizes, Sizes]:
    """Return window and shift for a map of `sizes`: with `shrinks`, an axis that fits in one window is not shifted."""
    if not shrinks:
        return window, shift
    # Equal counts as fitting: a map of exactly one window is not shifted either.
    fits = [size <= full for size, full in zip(sizes, window, strict=True)]
    smaller = tuple(size if fit else full for size, full, fit in zip(sizes, window, fits, strict=True))
    moved = tuple(0 if fit else step for step, fit in zip(shift, fits, strict=True))
    return (smaller[0], smaller[1], smaller[2]), (moved[0], moved[1], moved[2])


def to_windows(x: Tensor, window: Sizes) -> Tensor:
    """Return `(B, windows, N, C)` of a map `(B, T, H, W, C)` whose sizes are multiples of the window."""
    batch, frames, rows, columns, channels = x.shape
    t, h, w = window
    # (B, T, H, W, C) -> (B, T/t, t, H/h, h, W/w, w, C) -> (B, windows, t * h * w, C), both orders time, row, column
    cut = x.view(batch, frames // t, t, rows // h, h, columns // w, w, channels)
    return cut.permute(0, 1, 3, 5, 2, 4, 6, 7).reshape(batch, -1, t * h * w, channels)


def window_groups(sizes: Sizes, window: Sizes, shift: Sizes) -> list[tuple[Tensor, Tensor]]:
    """Return (windows `(n,)`, additive mask `(N, N)` of 0 and -100) a group of a rolled map padded to `sizes`.

    All inner windows have the same empty mask and those on the wrapped border a handful of others: none is made a
    window.
    """
    # After the roll the last window of an axis holds cells from both ends of the map. Three segments an axis, up to 27
    # labels: cells of one window with different labels were no neighbours before the roll.
    labels = torch.zeros(sizes, dtype=torch.int64)
    for axis, (size, width, step) in enumerate(zip(sizes, window, shift, strict=True)):
        place = torch.arange(size)
        segment = (place >= size - width).long() + (place >= size - step).long() if step else torch.zeros_like(place)
        shape = [1, 1, 1]
        shape[axis] = size
        labels = labels * 3 + segment.view(shape)
    # (1, T, H, W, 1) -> (windows, N)
    in_windows = to_windows(labels[None, ..., None], window)[0, :, :, 0]
    patterns, group = torch.unique(in_windows, dim=0, return_inverse=True)
    masks = (patterns[:, :, None] != patterns[:, None, :]).float() * _FORBIDDEN
    return [((group == index).nonzero()[:, 0], mask) for index, mask in enumerate(masks)]
