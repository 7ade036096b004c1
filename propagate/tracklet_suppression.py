"""Tracklet scores and tracklet-NMS: of the tracklets that show the same object the best one stays.

Source: docs/specs/tracklets.md, sections 2.5 and 3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray

from rvos.masks.runs import Integers, Runs, intersect
from rvos.settings import Count, Range

ProbabilityMean = Literal["all", "visible"]


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A tracklet as suppression sees it.

    Args:
        runs: its masks, not all empty.
        score: of the tracklet, higher is better.
        key_frame, proposal: decide ties: the earlier frame, then the earlier proposal of it.
    """

    runs: Runs
    score: float
    key_frame: int
    proposal: int


@dataclass(frozen=True, slots=True)
class Suppressed:
    """A candidate not kept: its place, that of the kept one it repeats (None: better ones filled up) and their IoU."""

    place: int
    by: int | None
    iou: float


@dataclass(frozen=True, slots=True)
class SuppressionSettings:
    """Which tracklets stay.

    Args:
        nms_iou: a tracklet is dropped if its tracklet IoU with a better one that stays is higher.
        keep: P, how many stay at most.
    """

    nms_iou: Annotated[float, Range(least=0, most=1)] = 0.5
    keep: Count = 10


def score_tracklet(
    confidence: float, propagation: NDArray[np.float32], areas: Integers, *, mean: ProbabilityMean = "all"
) -> float:
    """Return confidence times mean propagation probability. Source: tracklets.md, section 2.5.

    Args:
        propagation: `(T,)`, of every frame.
        areas: `(T,)`, pixels of every frame, at least one of them above 0.
        mean: `all`: over all frames; `visible`: over those with a mask.
    """
    n_frames = len(areas) if mean == "all" else int(np.count_nonzero(areas))
    return float(confidence * propagation.astype(np.float64).sum() / n_frames)


def suppress(
    candidates: Sequence[Candidate], settings: SuppressionSettings
) -> tuple[tuple[int, ...], tuple[Suppressed, ...]]:
    """Return the places of the candidates that stay, best first, and the others in the order of their scores.

    Best: the higher score, then the larger area, then the earlier key frame and proposal. A candidate goes to the first
    kept one that it repeats. Source: tracklets.md, section 3.
    """
    areas = [candidate.runs.area() for candidate in candidates]
    by_frame = [candidate.runs.areas() for candidate in candidates]

    def rank(place: int) -> tuple[float, int, int, int]:
        candidate = candidates[place]
        return -candidate.score, -areas[place], candidate.key_frame, candidate.proposal

    def overlap(a: int, b: int) -> float:
        total = areas[a] + areas[b]
        # No more pixels than the smaller mask of every frame can be common: most pairs need no closer look.
        most = int(np.minimum(by_frame[a], by_frame[b]).sum())
        if most / (total - most) <= settings.nms_iou:
            return 0.0
        common = intersect(candidates[a].runs, candidates[b].runs)
        return common / (total - common)

    kept: list[int] = []
    dropped: list[Suppressed] = []
    for place in sorted(range(len(candidates)), key=rank):
        overlaps = ((other, overlap(other, place)) for other in kept)
        found = next(((other, iou) for other, iou in overlaps if iou > settings.nms_iou), None)
        if found is not None:
            dropped.append(Suppressed(place, *found))
        elif len(kept) == settings.keep:
            dropped.append(Suppressed(place, None, 0.0))
        else:
            kept.append(place)
    return tuple(kept), tuple(dropped)
