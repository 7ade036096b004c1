"""Videos judged part by part: long ones, whose masks fill no memory so, and those that are annotated in some frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Protocol, Self, runtime_checkable

from rvos.dataset import VideoTruth
from rvos.errors import InputError
from rvos.evaluation.evaluator import Judge
from rvos.evaluation.results import ExpressionScore
from rvos.files.trees import Tree
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.videos import Video

LARGEST_PART = 1 << 26
"""Pixels of all frames that are looked at together."""


@runtime_checkable
class PartedTruth(VideoTruth, Protocol):
    """Ground truth that is read when it is asked for, so that a part of it costs only that part."""

    def take(self, indices: Sequence[int]) -> Self:
        """Return the ground truth of some of the frames."""


OpenWhole = Callable[[Video, VideoTruth], Judge]


def open_in_parts(video: Video, truth: VideoTruth, *, judge: OpenWhole) -> Judge:
    """Return a judge of a video's annotated frames; `judge` makes one of all frames."""
    places = range(video.n_frames) if video.annotated is None else video.annotated
    if not places:
        raise InputError(f"{video.id}: no frame is annotated; restore its masks, or leave the video out")
    step = max(1, LARGEST_PART // (truth.size[0] * truth.size[1])) if truth.size else len(places)
    if not isinstance(truth, PartedTruth) or (len(places) == video.n_frames and step >= len(places)):
        return judge(replace(video, annotated=None), truth)
    return PartsJudge(video, truth, [places[start : start + step] for start in range(0, len(places), step)], judge)


class PartsJudge:
    """The scores of parts, put together as if they were one; nothing of a part is kept."""

    def __init__(self, video: Video, truth: PartedTruth, parts: Sequence[Sequence[int]], judge: OpenWhole) -> None:
        self._video, self._truth, self._parts, self._judge = video, truth, parts, judge

    def judge(self, sequences: Sequence[MaskSequence]) -> list[ExpressionScore]:
        """Return the scores of sequences; InputError for other frames or size."""
        known = {one.id for one in self._video.expressions}
        own = {name: one for name, one in by_expression(sequences).items() if name in known}
        for one in own.values():
            one.check_fits(self._video, self._truth.size, advice="make the masks again")
        return _join(judge.judge([_take(one, part) for one in own.values()]) for part, judge in self._open())

    def judge_files(self, predictions: Tree) -> list[ExpressionScore]:
        """Return the scores of mask files."""
        return _join(judge.judge_files(predictions) for _, judge in self._open())

    def _open(self) -> Iterator[tuple[Sequence[int], Judge]]:
        for part in self._parts:
            # An object that is absent from a part may be there in another: no judge is to wonder at it.
            video = replace(self._video.take(part), annotated=tuple(range(len(part))))
            yield part, self._judge(video, self._truth.take(part))


def _join(parts: Iterator[list[ExpressionScore]]) -> list[ExpressionScore]:
    found = next(parts)
    for later in parts:
        found = [one.join(two) for one, two in zip(found, later, strict=True)]
    return [one.as_missing() if len(one.missing) == len(one.frames) else one for one in found]


def _take(sequence: MaskSequence, part: Sequence[int]) -> MaskSequence:
    """Return the masks of some frames, without what only the whole sequence has."""
    return replace(
        sequence,
        frames=tuple(sequence.frames[place] for place in part),
        runs=tuple(sequence.runs[place] for place in part),
        scores=sequence.scores[list(part)],
        key_frame=None,
        soft=None,
        propagation=None,
    )
