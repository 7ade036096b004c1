"""Coarse masks of a sentence replaced, window by window, by the masklets that they cover most steadily.

In every frame the masklets that lie inside the coarse mask form a combination; the combination that most frames of a
window have is what the sentence means, and its masklets replace the coarse masks of the whole window.

Source: docs/specs/refinement.md, section 4 (Spatial-temporal Refinement, 6th LSVOS challenge, Eq. 1 and Algorithm 1).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from rvos.errors import ConfigError
from rvos.masks.coco_text import Integers
from rvos.masks.runs import Runs, intersect_by_frame, unite
from rvos.settings import Range

Combination = tuple[int, ...]
Tail = Literal["keep", "merge", "balanced"]
Reason = Literal["refined", "empty_selection", "no_masklet", "low_coverage"]
Tie = Literal["not_empty", "previous_window", "overlap", "first_seen"]
Window = Annotated[int, Range(least=1)]
Tau = Annotated[float, Range(least=0, below=1)]


@dataclass(frozen=True, slots=True)
class RefinementSettings:
    """How a selection is made.

    Args:
        window: frames of a window.
        tau: a masklet belongs to a frame's combination if more than this share of it lies inside the coarse mask.
        tail: a shorter rest is a window of its own (`keep`), joins the window before if it is shorter than half a
            window (`merge`), or all windows are made equally long (`balanced`).
        tie: among equally frequent combinations decide `stable`, see `_break_tie`, or take the one seen `first`.
        count_empty: frames whose combination is empty vote too.
        dedup_iou: of two masklets with at least this tracklet IoU the later one is dropped before the vote.
        min_area: pixels that a masklet must have in a frame to be visible there.
        empty_selection: what a window gets whose selection is empty.
        empty_composition: what a frame gets in which all selected masklets are empty: the empty mask (`keep`), since
            the object is out of view, or the coarse one.
        min_coverage: share of the coarse pixels of a window that the selection must cover, else the coarse masks stay.

    Raises:
        ConfigError: a number out of its range.
    """

    window: Window = 15
    tau: Tau = 0.8
    tail: Tail = "keep"
    tie: Literal["stable", "first"] = "stable"
    count_empty: bool = True
    dedup_iou: Annotated[float, Range(above=0, most=1)] | Literal["off"] = 0.9
    min_area: Annotated[int, Range(least=0)] = 0
    empty_selection: Literal["coarse"] = "coarse"
    empty_composition: Literal["keep", "coarse"] = "keep"
    min_coverage: Annotated[float, Range(least=0, most=1)] | Literal["off"] = "off"

    def __post_init__(self) -> None:
        if self.window < 1:
            raise ConfigError(f"window {self.window}; give at least 1 frame")
        if not 0 <= self.tau < 1:
            raise ConfigError(f"tau {self.tau}: no share is above it; give a number from 0 to below 1")


@dataclass(frozen=True, slots=True, eq=False)
class Composition:
    """The union of some masklets.

    Args:
        runs, counts: its masks, and the same as T COCO compressed run lengths.
        areas, common: pixels, and pixels inside the coarse mask, `(T,)`.
        ious: with the coarse mask, `(T,)`; two empty masks have 1.
    """

    runs: Runs
    counts: tuple[bytes, ...]
    areas: Integers
    common: Integers
    ious: NDArray[np.float64]


class Evidence:
    """What coarse masks and masklets have in common, counted once for any number of settings.

    Args:
        coarse: masks of one sentence.
        masklets: of its noun, in their order; frames and size as those of the coarse masks.
    """

    def __init__(self, coarse: Runs, masklets: Sequence[Runs]) -> None:
        self.coarse = coarse
        self.coarse_areas = coarse.areas()
        self.masklets = tuple(masklets)
        shape = (len(self.masklets), coarse.n_frames)
        self.areas: Integers = np.reshape([mask.areas() for mask in masklets], shape).astype(np.int64)
        common = [intersect_by_frame(mask, coarse) for mask in masklets]
        self.common: Integers = np.reshape(common, shape).astype(np.int64)
        self._composed: dict[Combination, Composition] = {}

    def find_members(self, *, tau: float, min_area: int) -> NDArray[np.bool_]:
        """Return which masklets belong to the combination of which frame, `(N, T)`.

        The share is a quotient of integers in double precision: other forms misjudge shares that equal tau.
        """
        is_visible = (self.areas > 0) & (self.areas >= min_area)
        shares = self.common / np.maximum(self.areas, 1)
        return is_visible & (shares > tau)

    def compose(self, combination: Combination) -> Composition:
        """Return the union of masklets; the same combination is united once."""
        if combination not in self._composed:
            union = unite([self.masklets[index] for index in combination])
            areas, common = union.areas(), intersect_by_frame(union, self.coarse)
            together = areas + self.coarse_areas - common
            ious = np.where(together > 0, common / np.maximum(together, 1), 1.0)
            self._composed[combination] = Composition(union, union.encode(), areas, common, ious)
        return self._composed[combination]

    def pick(self, coarse: Sequence[bytes], frames: Sequence[Combination | None]) -> tuple[bytes, ...]:
        """Return the run lengths of a choice: every frame's combination united, or its coarse mask for None."""
        return tuple(
            own if chosen is None else self.compose(chosen).counts[frame]
            for frame, (own, chosen) in enumerate(zip(coarse, frames, strict=True))
        )


@dataclass(frozen=True, slots=True)
class WindowChoice:
    """What became of the frames from `first` to `last`, both included.

    Args:
        votes: every distinct combination with its frames, most frequent first, then as seen.
        selected: the combination that won.
        tie: what decided among equally frequent ones; None: there was one winner.
        iou: mean over the frames of the IoU of coarse and refined masks.
    """

    first: int
    last: int
    votes: tuple[tuple[Combination, int], ...]
    selected: Combination
    tie: Tie | None
    reason: Reason
    iou: float


@dataclass(frozen=True, slots=True)
class Refinement:
    """A sentence's refined masks: every frame's combination, whose union is its mask; None: the coarse mask."""

    frames: tuple[Combination | None, ...]
    windows: tuple[WindowChoice, ...]


def refine(evidence: Evidence, settings: RefinementSettings) -> Refinement:
    """Return which masklets replace the coarse masks of which frame."""
    members = evidence.find_members(tau=settings.tau, min_area=settings.min_area)
    of_frames = [tuple(np.flatnonzero(column).tolist()) for column in members.T]
    frames: list[Combination | None] = []
    windows: list[WindowChoice] = []
    for first, after in cut_windows(evidence.coarse.n_frames, settings.window, settings.tail):
        previous = windows[-1].selected if windows else ()
        votes = tuple(Counter(of_frames[first:after]).most_common())
        span = slice(first, after)
        selected, tie = _select(votes, evidence, span, previous=previous, settings=settings)
        chosen, reason = _compose_window(selected, evidence, span, settings)
        frames += chosen
        ious = [
            1.0 if combination is None else float(evidence.compose(combination).ious[first + place])
            for place, combination in enumerate(chosen)
        ]
        windows.append(WindowChoice(first, after - 1, votes, selected, tie, reason, float(np.mean(ious))))
    return Refinement(tuple(frames), tuple(windows))


def cut_windows(n_frames: int, window: int, tail: Tail) -> list[tuple[int, int]]:
    """Return the first frame of each window and the frame after its last."""
    if tail == "balanced":
        n_windows = -(-n_frames // window)
        short, n_longer = divmod(n_frames, n_windows)
        bounds = [index * short + min(index, n_longer) for index in range(n_windows + 1)]
    else:
        bounds = [*range(0, n_frames, window), n_frames]
        rest = n_frames % window
        if tail == "merge" and n_frames > window and 0 < 2 * rest < window:
            del bounds[-2]
    return list(pairwise(bounds))


def _select(
    votes: Sequence[tuple[Combination, int]],
    evidence: Evidence,
    span: slice,
    *,
    previous: Combination,
    settings: RefinementSettings,
) -> tuple[Combination, Tie | None]:
    """Return the combination that wins a window, and what decided a tie."""
    counted = [(combination, count) for combination, count in votes if combination or settings.count_empty]
    if not counted:
        return (), None
    most = max(count for _, count in counted)
    best = [combination for combination, count in counted if count == most]
    if len(best) == 1:
        return best[0], None
    return (best[0], "first_seen") if settings.tie == "first" else _break_tie(best, evidence, span, previous)


def _break_tie(
    best: Sequence[Combination], evidence: Evidence, span: slice, previous: Combination
) -> tuple[Combination, Tie]:
    """Return one of several combinations: not empty, else that of the window before, else the best overlap, else the
    one seen first."""
    filled = [combination for combination in best if combination]
    if len(filled) == 1:
        return filled[0], "not_empty"
    if previous and previous in filled:
        return previous, "previous_window"
    overlaps = [float(evidence.compose(combination).ious[span].mean()) for combination in filled]
    highest = max(overlaps)
    winner = filled[overlaps.index(highest)]
    return winner, "overlap" if overlaps.count(highest) == 1 else "first_seen"


def _compose_window(
    selected: Combination, evidence: Evidence, span: slice, settings: RefinementSettings
) -> tuple[list[Combination | None], Reason]:
    """Return what each frame of a window gets, and why."""
    kept: list[Combination | None] = [None] * (span.stop - span.start)
    if not evidence.areas.any():
        return kept, "no_masklet"
    if not selected:
        return kept, "empty_selection"
    composition = evidence.compose(selected)
    stays_coarse = (composition.areas[span] == 0) & (settings.empty_composition == "coarse")
    coarse = evidence.coarse_areas[span]
    total, covered = int(coarse.sum()), int(np.where(stays_coarse, coarse, composition.common[span]).sum())
    if settings.min_coverage != "off" and total > 0 and covered / total < settings.min_coverage:
        return kept, "low_coverage"
    return [None if stays else selected for stays in stays_coarse], "refined"
