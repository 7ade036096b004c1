"""Masks and their contours as bits, 64 pixels a word: what J and F are counted on.

A chunk of T frames is cropped to the box of its foreground and laid on a grid of words `(T, rows, words)` with margins
of more than the matching radius, so that shifts of the flat array move every frame at once and nothing reaches a
neighbouring row or frame. The disk of the matching is a union of rectangles: the contour is widened along the rows step
by step, and each width is added at the rows where the disk has it.

Source: evaluation.md, sections 1 and 2.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rvos.masks.bit_masks import WORD, Words

_CHUNK_WORDS = 1 << 14  # a chunk's arrays stay in the second-level cache

Counts = NDArray[np.int64]


def matching_radius(size: tuple[int, int], *, share: float = 0.008) -> int:
    """Return the radius in pixels within which contours match, for frames (H, W)."""
    return math.ceil(share * math.hypot(*size))


@dataclass(frozen=True, slots=True, eq=False)
class Outlines:
    """Masks of some consecutive frames and their contours.

    Args:
        mask, contour, reach: `(T, rows, words)` uint64; `reach` is the contour widened by the radius.
        row, word: image row of the first grid row, image word of the first grid word; both may be negative.
        area, length: pixels of mask and contour, `(T,)`.
    """

    mask: Words
    contour: Words
    reach: Words
    row: int
    word: int
    area: Counts
    length: Counts


def trace_words(words: Words, size: tuple[int, int], *, radius: int, first_row: int = 0) -> tuple[Outlines, ...]:
    """Return the outlines of masks that are bits already.

    Args:
        words: `(T, rows, W // 64 + 1)` uint64; pixel x of a row is bit `x % 64` of word `x // 64`, spare bits are 0.
        size: (H, W).
        first_row: image row of the first of these rows; the others are empty.
    """
    return trace_together(words[None], size, radius=radius, first_row=first_row)[0]


def trace_together(
    words: Words, size: tuple[int, int], *, radius: int, first_row: int = 0
) -> list[tuple[Outlines, ...]]:
    """Return the outlines of several masks `(K, T, rows, W // 64 + 1)`, each as `trace_words` has them, in one pass."""
    n_masks, n_frames = words.shape[:2]
    step = max(1, _CHUNK_WORDS // (size[0] * (size[1] // WORD + 1)))
    parts: list[list[Outlines]] = [[] for _ in range(n_masks)]
    for start in range(0, n_frames, step):
        chunk = words[:, start : start + step]
        traced = _trace_chunk(chunk.reshape(n_masks * chunk.shape[1], *chunk.shape[2:]), size, radius, first_row)
        for mask, part in enumerate(parts):
            part.append(_slice(traced, mask * chunk.shape[1], (mask + 1) * chunk.shape[1]))
    return [tuple(part) for part in parts]


def _slice(outlines: Outlines, start: int, end: int) -> Outlines:
    return Outlines(
        outlines.mask[start:end],
        outlines.contour[start:end],
        outlines.reach[start:end],
        outlines.row,
        outlines.word,
        outlines.area[start:end],
        outlines.length[start:end],
    )


def _trace_chunk(words: Words, size: tuple[int, int], radius: int, first_row: int = 0) -> Outlines:
    n_frames = len(words)
    height, width = size
    anywhere = np.bitwise_or.reduce(words, axis=0)
    columns = np.flatnonzero(np.bitwise_or.reduce(anywhere, axis=0))
    if not columns.size:
        nothing, zero = np.zeros((n_frames, 0, 0), np.uint64), np.zeros(n_frames, np.int64)
        return Outlines(nothing, nothing, nothing, 0, 0, zero, zero)
    rows = np.flatnonzero(np.bitwise_or.reduce(anywhere, axis=1))
    box = words[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    margin, side = radius + 1, -(-(radius + 1) // WORD)
    grid: Words = np.zeros((n_frames, box.shape[1] + 2 * margin, box.shape[2] + 2 * side), np.uint64)
    grid[:, margin:-margin, side:-side] = box
    row, word = first_row + int(rows[0]) - margin, int(columns[0]) - side
    contour = _find_contour(grid, row, word, (height, width))
    return Outlines(grid, contour, _widen(contour, radius), row, word, _count(grid), _count(contour))


def _find_contour(mask: Words, row: int, word: int, size: tuple[int, int]) -> Words:
    """Return the pixels that differ from their right, lower or lower right neighbour.

    The image continues its last row and column, so no contour runs along its border.
    """
    height, width = size
    continued = mask.copy()
    last = (width - 1) // WORD - word
    if last < mask.shape[2]:
        edge = (mask[:, :, last] >> np.uint64((width - 1) % WORD)) & np.uint64(1)
        if width // WORD - word < mask.shape[2]:
            continued[:, :, width // WORD - word] |= edge << np.uint64(width % WORD)
    if 0 < height - row < mask.shape[1]:
        continued[:, height - row] = continued[:, height - row - 1]
    flat, lower = mask.reshape(-1), np.zeros(mask.size, np.uint64)
    lower[: -mask.shape[2]] = continued.reshape(-1)[mask.shape[2] :]
    contour: Words = flat ^ lower
    contour |= flat ^ _move_left(continued.reshape(-1), 1)
    contour |= flat ^ _move_left(lower, 1)
    return _clip(contour.reshape(mask.shape), row, word, size)


def _clip(grid: Words, row: int, word: int, size: tuple[int, int]) -> Words:
    """Clear, in place, what lies outside the image."""
    height, width = size
    grid[:, : max(0, -row)] = 0
    grid[:, max(0, height - row) :] = 0
    grid[:, :, : max(0, -word)] = 0
    last = width // WORD - word
    if last < grid.shape[2]:
        grid[:, :, last] &= np.uint64((1 << (width % WORD)) - 1)
        grid[:, :, last + 1 :] = 0
    return grid


def _widen(contour: Words, radius: int) -> Words:
    """Return the contour dilated with the disk `dx^2 + dy^2 <= radius^2`."""
    stride = contour.shape[2]
    places = _find_places(contour.reshape(-1), radius)
    wide = contour.reshape(-1)[places]
    row = np.zeros(contour.size, np.uint64)
    reach = np.zeros(contour.size, np.uint64)
    reached = 0
    for half, offsets in _slice_disk(radius):
        for next_half in _plan_widths(reached, half):
            wide = _spread(wide, next_half - reached)
            reached = next_half
        row[places] = wide
        for offset in offsets:
            shift = offset * stride
            if shift >= 0:
                reach[shift:] |= row[: row.size - shift]
            else:
                reach[:shift] |= row[-shift:]
    return reach.reshape(contour.shape)


def _find_places(words: Words, radius: int) -> NDArray[np.intp]:
    """Return the words that hold bits or that bits reach which move by at most `radius`.

    No bit travels farther, so these words alone, put side by side, can be shifted like the whole.
    """
    occupied = words != 0
    near = occupied.copy()
    whole, rest = divmod(radius, WORD)
    for step in range(1, whole + 1):
        near[step:] |= occupied[:-step]
        near[:-step] |= occupied[step:]
    if rest:
        # One word farther than whole words come only those bits that are near its edge.
        step = whole + 1
        near[step:] |= (words[:-step] >> np.uint64(WORD - rest)) != 0
        near[:-step] |= (words[step:] & np.uint64((1 << rest) - 1)) != 0
    return np.flatnonzero(near)


def _slice_disk(radius: int) -> Iterator[tuple[int, list[int]]]:
    """Yield (half width, row offsets that have it), narrowest first."""
    halves: dict[int, list[int]] = {}
    for offset in range(-radius, radius + 1):
        halves.setdefault(math.isqrt(radius * radius - offset * offset), []).append(offset)
    yield from sorted(halves.items())


def _plan_widths(start: int, end: int) -> list[int]:
    """Return half widths from `start` to `end`: a step of at most `h` (or 1) from `h` leaves no gaps."""
    plan = []
    while start < end:
        start = min(end, start + max(1, min(start, WORD - 1)))
        plan.append(start)
    return plan


def _spread(words: Words, distance: int) -> Words:
    """Return the union of the bits moved by `distance` to both sides and, where that leaves gaps, of themselves."""
    spread, moved = _move_left(words, distance), np.right_shift(words, np.uint64(WORD - distance))
    spread[1:] |= moved[:-1]
    spread |= np.left_shift(words, np.uint64(distance), out=moved)
    if distance == 1:
        spread |= words
    return spread


def _move_left(words: Words, distance: int) -> Words:
    """Return flat rows of bits moved by 1 to 63 pixels towards lower columns."""
    moved: Words = words >> np.uint64(distance)
    moved[:-1] |= words[1:] << np.uint64(WORD - distance)
    return moved


def _count(grid: Words) -> Counts:
    return np.bitwise_count(grid).sum(axis=(1, 2), dtype=np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class PairCounts:
    """Pixel counts of ground truth against prediction, each `(T,)`."""

    intersection: Counts
    union: Counts
    truth_length: Counts
    prediction_length: Counts
    matched_truth: Counts
    matched_prediction: Counts


def count_pairs(truth: Sequence[Outlines], prediction: Sequence[Outlines]) -> PairCounts:
    """Return the counts of two sequences of the same frames, size and radius."""
    rows = [_count_chunk(a, b) for a, b in zip(truth, prediction, strict=True)]
    return PairCounts(*(np.concatenate(column) for column in zip(*rows, strict=True)))


def _count_chunk(a: Outlines, b: Outlines) -> tuple[Counts, ...]:
    common = _count_common(a, a.mask, b, b.mask)
    return (
        common,
        a.area + b.area - common,
        a.length,
        b.length,
        _count_common(a, a.contour, b, b.reach),
        _count_common(a, a.reach, b, b.contour),
    )


def _count_common(a: Outlines, of_a: Words, b: Outlines, of_b: Words) -> Counts:
    """Return the bits set in both grids, where they overlap."""
    top, bottom = max(a.row, b.row), min(a.row + of_a.shape[1], b.row + of_b.shape[1])
    left, right = max(a.word, b.word), min(a.word + of_a.shape[2], b.word + of_b.shape[2])
    if top >= bottom or left >= right:
        return np.zeros(len(of_a), np.int64)
    part_a = of_a[:, top - a.row : bottom - a.row, left - a.word : right - a.word]
    part_b = of_b[:, top - b.row : bottom - b.row, left - b.word : right - b.word]
    return _count(part_a & part_b)
