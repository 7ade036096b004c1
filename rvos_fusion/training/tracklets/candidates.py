"""Tracklets as detectors and propagation would give them, made from index masks: near copies, and the usual faults.

Training needs no detector and no propagation this way: every sample draws its candidates anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import cv2
import numpy as np
from numpy.typing import NDArray

from rvos.settings import Chance, Range

Masks = NDArray[np.bool_]
_LARGEST_SHIFT = 2
_ROUGH_CHANCE = 0.5
_LEAST_PART = 0.25
_TRIES = 3


@dataclass(frozen=True, slots=True)
class CandidateSettings:
    """What stands beside the true objects.

    Args:
        found: chance that an object has a good tracklet.
        lost: chance that a good tracklet is lost in a frame.
        faults: at most so many wrong tracklets: partial, merged, jumping from one object to another, of background.
        nms_iou: tracklets that overlap more with an earlier one are left out, as tracklet-NMS does.
        loose: chance that they are left out only above `loose_iou`, so that near-duplicates occur.
    """

    found: Chance = 0.95
    lost: Chance = 0.03
    faults: Annotated[int, Range(least=0, most=1000)] = 5
    nms_iou: Chance = 0.5
    loose: Chance = 0.2
    loose_iou: Chance = 0.75


def tracklet_overlaps(left: Masks, right: Masks) -> NDArray[np.float64]:
    """Return `(L, R)` tracklet-IoU of `(L, T, H, W)` and `(R, T, H, W)`. Source: tracklets.md, section 3.1."""
    # Every second pixel both ways tells which candidate is which, in a quarter of the time.
    one = left[..., ::2, ::2].reshape(len(left), -1).astype(np.float32)
    other = right[..., ::2, ::2].reshape(len(right), -1).astype(np.float32)
    # Counts of pixels below 2**24 are exact in float32.
    both = (one @ other.T).astype(np.float64)
    union = one.sum(1)[:, None] + other.sum(1)[None] - both
    return np.asarray(both / np.maximum(union, 1))


def make_candidates(objects: Masks, settings: CandidateSettings, *, most: int, random: np.random.Generator) -> Masks:
    """Return tracklets `(P, T, H, W)` in random order, 1 <= P <= most, of objects `(O, ...)`; each has a pixel."""
    copies = [roughen(one, settings.lost, random) for one in objects if random.random() < settings.found]
    n_faults = int(random.integers(settings.faults + 1))
    wrong = [_FAULTS[int(random.integers(len(_FAULTS)))](objects, random) for _ in range(n_faults)]
    found = [tracklet for tracklet in copies + wrong if tracklet.any()] or [objects[0]]
    # Now and then a fault has the higher score, and its neighbour falls.
    order = list(range(len(found)))
    if random.random() < settings.loose:
        order = random.permutation(len(found)).tolist()
    limit = settings.loose_iou if random.random() < settings.loose else settings.nms_iou
    overlaps = tracklet_overlaps(np.stack(found), np.stack(found))
    kept: list[int] = []
    for index in order:
        if all(overlaps[index, other] <= limit for other in kept):
            kept.append(index)
    return np.stack([found[kept[place]] for place in random.permutation(min(len(kept), most))])


def roughen(masks: Masks, lost: float, random: np.random.Generator) -> Masks:
    """Return masks `(T, H, W)` as a network would draw them: grown or shrunk, shifted, lost in some frames."""
    result = masks.copy()
    # One habit for the whole tracklet, and single frames that deviate from it.
    habit = int(random.integers(-1, 2))
    for frame in range(len(result)):
        if random.random() < lost:
            result[frame] = False
        elif random.random() < _ROUGH_CHANCE and result[frame].any():
            step = habit + int(random.integers(-1, 2))
            shift = random.integers(-_LARGEST_SHIFT, _LARGEST_SHIFT + 1, 2)
            result[frame] = _shift(_grow(result[frame], step), int(shift[0]), int(shift[1]))
    return result


def _grow(mask: Masks, step: int) -> Masks:
    """Return the mask grown by `step` pixels, or shrunk; what would vanish stays."""
    if step == 0:
        return mask
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * abs(step) + 1,) * 2)
    change = cv2.dilate if step > 0 else cv2.erode
    changed = change(mask.view(np.uint8), kernel).astype(np.bool_)
    return changed if changed.any() else mask


def _shift(mask: Masks, rows: int, columns: int) -> Masks:
    """Return `(..., H, W)` moved down and to the right; what leaves the frame is gone."""
    height, width = mask.shape[-2:]
    result = np.zeros_like(mask)
    into = (..., slice(max(rows, 0), height + min(rows, 0)), slice(max(columns, 0), width + min(columns, 0)))
    source = (..., slice(max(-rows, 0), height + min(-rows, 0)), slice(max(-columns, 0), width + min(-columns, 0)))
    result[into] = mask[source]
    return result


def _cut_in_time(objects: Masks, random: np.random.Generator) -> Masks:
    """An object that is followed for a part of the video only."""
    result = _pick(objects, random).copy()
    n_frames = len(result)
    length = max(1, round(n_frames * random.uniform(_LEAST_PART, 1 - _LEAST_PART)))
    start = int(random.integers(n_frames - length + 1))
    result[:start], result[start + length :] = False, False
    return result


def _cut_in_space(objects: Masks, random: np.random.Generator) -> Masks:
    """A part of an object: one side of the line through its centre, in every frame."""
    result = _pick(objects, random).copy()
    normal = random.normal(size=2)
    for frame in result:
        rows, columns = np.nonzero(frame)
        if len(rows):
            beyond = normal[0] * (rows - rows.mean()) + normal[1] * (columns - columns.mean()) > 0
            frame[rows[beyond], columns[beyond]] = False
    return result


def _merge(objects: Masks, random: np.random.Generator) -> Masks:
    """Two objects as one."""
    return np.asarray(_pick(objects, random) | _pick(objects, random))


def _jump(objects: Masks, random: np.random.Generator) -> Masks:
    """An object, and from some frame on another one."""
    result = _pick(objects, random).copy()
    start = int(random.integers(len(result)))
    result[start:] = _pick(objects, random)[start:]
    return result


def _background(objects: Masks, random: np.random.Generator) -> Masks:
    """The outline of an object where no object is, still or carried along with one."""
    height, width = objects.shape[2:]
    moving = _pick(objects, random)
    for _ in range(_TRIES):
        rows, columns = int(random.integers(-height, height)), int(random.integers(-width, width))
        shifted = _shift(moving, rows, columns)
        if random.random() < _ROUGH_CHANCE:
            shifted = np.repeat(shifted[int(random.integers(len(shifted)))][None], len(shifted), 0)
        free = np.asarray(shifted & ~objects.any(0))
        if free.any():
            return free
    return _cut_in_time(objects, random)


def _pick(objects: Masks, random: np.random.Generator) -> Masks:
    return np.asarray(objects[int(random.integers(len(objects)))])


_FAULTS: tuple[Callable[[Masks, np.random.Generator], Masks], ...] = (
    _cut_in_time,
    _cut_in_space,
    _merge,
    _jump,
    _background,
)
