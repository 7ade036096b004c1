"""Answers corrected by hand: frames given as masks, each carried both ways to the next correction."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from propagate.collecting import begin_sequence
from propagate.propagator import Propagator, Source
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.runs import Runs
from rvos.videos import Video


@dataclass(frozen=True, slots=True, eq=False)
class GivenMask:
    """What a frame shows.

    Args:
        runs: its mask as COCO compressed run lengths; it has at least one pixel.
        propagator: carries it both ways; None: it stands in its frame alone.
    """

    runs: bytes
    propagator: Propagator | None = None


def correct_sequence(
    video: Video,
    sequence: MaskSequence,
    given: Mapping[int, GivenMask],
    *,
    emptied: Collection[int] = (),
    kept: Collection[int] = (),
) -> MaskSequence:
    """Return a sequence with given masks, what is carried of them, and frames without an object.

    A mask is carried to the frame before the next correction, whatever that is; two that are carried towards each other
    meet in the middle, a middle frame is the earlier one's. Scores and key frame stay; soft maps and propagation
    probabilities were those of other masks, and go.

    Args:
        given: by the place of the frame.
        emptied: places of frames, none of them given.
        kept: places of further frames, whose masks stay.

    Raises:
        InputError: a frame cannot be read.
        CheckpointError: a network gives values that are not finite.
    """
    runs = list(sequence.runs)
    stops = {*given, *emptied, *kept}
    (nothing,) = Runs.empty(1, sequence.size).encode()
    for frame in emptied:
        runs[frame] = nothing
    for frame, one in given.items():
        runs[frame] = one.runs
        if one.propagator is not None:
            first, last = _find_reach(frame, given, stops, video.n_frames)
            part = video.take(range(first, last + 1))
            start = begin_sequence(part, frame - first, sequence.size, one.runs)
            ((carried,),) = one.propagator.propagate(part, [Source([start])])
            runs[first : last + 1] = carried.runs
    missing = None if given or emptied else sequence.missing
    return replace(sequence, runs=tuple(runs), soft=None, propagation=None, queries=None, missing=missing)


def _find_reach(frame: int, given: Mapping[int, GivenMask], stops: Collection[int], n_frames: int) -> tuple[int, int]:
    """Return the first and the last frame that a carried mask reaches."""
    carried = {place for place, one in given.items() if one.propagator is not None}
    before = max((stop for stop in stops if stop < frame), default=-1)
    after = min((stop for stop in stops if stop > frame), default=n_frames)
    first = (before + frame) // 2 + 1 if before in carried else before + 1
    last = (frame + after) // 2 if after in carried else after - 1
    return first, last
