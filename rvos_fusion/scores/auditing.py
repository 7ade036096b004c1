"""Answers that deserve a second look, found without ground truth. Source: choice.md, section 8."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from fusion.groups import Group
from rvos.language.directions import OPPOSITE, Direction, find_directions
from rvos.masks.boxes import find_boxes
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.runs import Runs, tracklet_iou
from rvos.settings import count
from rvos.videos import Expression, Video

Flag = Literal["empty", "twin", "flicker", "jump", "area", "direction"]
FLAGS: Mapping[Flag, str] = {
    "empty": "nothing is marked in any frame",
    "twin": "the answer of a sentence about another object is the same",
    "flicker": "it goes and comes back within 5 frames, more than twice",
    "jump": "its centre moves more than half its diagonal between two frames, its size stays",
    "area": "it grows or shrinks by more than 3 between two frames",
    "direction": "it moves the other way than the sentence says",
}
_TWIN = 0.7
_GONE, _TIMES = 5, 2
_STEP, _LIKE = 0.5, 1.5
_SHOCK = 3.0
_MOVED = 0.05
"""Part of the frame's side that counts as a movement."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One reason to look again.

    Args:
        frame: name of the frame to look at.
        detail: what was seen, in words and numbers.
    """

    video: str
    expression: str
    flag: Flag
    frame: str
    detail: str
    text: str


def audit_video(video: Video, answers: Mapping[str, MaskSequence], groups: Sequence[Group] | None) -> Iterator[Doubt]:
    """Yield what is odd about a video's answers, sentence by sentence.

    Args:
        groups: sentences of one object each; None: nobody knows, so no answer is a twin.
    """
    runs = {name: answer.as_runs() for name, answer in answers.items()}
    twins = {} if groups is None else _find_twins(groups, runs)
    for expression in video.expressions:
        answer, own = answers[expression.id], runs[expression.id]

        def doubt(flag: Flag, frame: int, detail: str, expression: Expression = expression) -> Doubt:
            return Doubt(video.id, expression.id, flag, video.frames[frame], detail, expression.text)

        areas = own.areas()
        if not areas.any():
            yield doubt("empty", 0, "no pixel")
            continue
        if expression.id in twins:
            other, iou = twins[expression.id]
            yield doubt("twin", int(areas.argmax()), f"IoU {iou:.2f} with {other}")
        gaps = _find_gaps(areas > 0)
        if len(gaps) > _TIMES:
            yield doubt("flicker", gaps[0], count(len(gaps), "time"))
        boxes = find_boxes(answer.runs, answer.size)
        yield from (doubt("jump", frame, f"by {step:.1f} diagonals") for frame, step in _find_jumps(boxes, areas))
        yield from (doubt("area", frame, f"times {factor:.2g}") for frame, factor in _find_shocks(areas))
        for said, seen, frame in _find_contrary(expression, boxes, areas, answer.size):
            yield doubt("direction", frame, f"says {said}, moves {seen}")


def _find_twins(groups: Sequence[Group], runs: Mapping[str, Runs]) -> dict[str, tuple[str, float]]:
    """Return the sentence of another group with the most alike answer, where one is alike, and their IoU."""
    found: dict[str, tuple[str, float]] = {}
    for first, second in combinations(groups, 2):
        for one in first.expressions:
            for other in second.expressions:
                if not runs[one].area() or not runs[other].area():
                    continue
                iou = tracklet_iou(runs[one], runs[other])
                for name, twin in ((one, other), (other, one)):
                    if iou > max(_TWIN, found.get(name, ("", 0.0))[1]):
                        found[name] = twin, iou
    return found


def _find_gaps(visible: NDArray[np.bool_]) -> list[int]:
    """Return the first frame of every short gap between visible frames."""
    places = np.flatnonzero(visible)
    lengths = np.diff(places)
    return [int(place) + 1 for place, length in zip(places, lengths, strict=False) if 1 < length <= _GONE]


def _find_centres(boxes: NDArray[np.float64]) -> NDArray[np.float64]:
    return boxes[:, :2] + boxes[:, 2:] / 2


def _find_jumps(boxes: NDArray[np.float64], areas: NDArray[np.int64]) -> Iterator[tuple[int, float]]:
    """Yield the frames that a mask of like size jumps to, and by how many diagonals of its box."""
    steps = np.linalg.norm(np.diff(_find_centres(boxes), axis=0), axis=1)
    for frame, step in enumerate(steps.tolist(), start=1):
        before, after = int(areas[frame - 1]), int(areas[frame])
        if before and after and max(before, after) <= _LIKE * min(before, after):
            diagonals = step / float(np.linalg.norm(boxes[frame - 1, 2:]))
            if diagonals > _STEP:
                yield frame, diagonals


def _find_shocks(areas: NDArray[np.int64]) -> Iterator[tuple[int, float]]:
    """Yield the frames in which a mask is of quite another size than in the one before, and the factor."""
    for frame in range(1, len(areas)):
        before, after = int(areas[frame - 1]), int(areas[frame])
        if before and after and max(before, after) > _SHOCK * min(before, after):
            yield frame, after / before


def _find_contrary(
    expression: Expression, boxes: NDArray[np.float64], areas: NDArray[np.int64], size: tuple[int, int]
) -> Iterator[tuple[Direction, Direction, int]]:
    """Yield a direction that the sentence alone names, the contrary one that is seen, and the last frame of it."""
    said = find_directions(expression.text)
    seen = np.flatnonzero(areas)
    centres = _find_centres(boxes)[seen]
    # A sentence that names two ways names a turn, of which the net movement says nothing.
    if len(said) != 1 or len(seen) < 2:
        return
    across, along = ((centres[-1] - centres[0]) / (size[1], size[0])).tolist()
    moves: dict[Direction, float] = {"left": -across, "right": across, "up": -along, "down": along}
    contrary = OPPOSITE[said[0]]
    if moves[contrary] > _MOVED:
        yield said[0], contrary, int(seen[-1])
