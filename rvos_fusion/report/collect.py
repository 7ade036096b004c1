"""Gathers one video of a report: masks of every side at picture size, frames, ground truth, scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from fusion.groups import Group
from rvos.dataset import TruthSource, VideoTruth
from rvos.errors import InputError
from rvos.evaluation.evaluator import OpenJudge
from rvos.evaluation.results import ExpressionScore
from rvos.masks.mask_sequences import MaskSequence, encode
from rvos.masks.runs import Runs, intersect
from rvos.videos import Expression, Video
from rvos_fusion.kinds.grounding_report import Grounding
from rvos_fusion.report.content import ExpressionRow, GroundingView, SequenceView, TrackletView, VideoView, VoteScores
from rvos_fusion.report.pictures import encode_picture, picture_size, shrink_runs
from rvos_fusion.report.sides import VideoSide
from rvos_fusion.scores.slice_facts import ObjectFacts, look_at

PERCENT = 100.0
_GREY = 128


@dataclass(frozen=True, slots=True)
class VideoJob:
    """What a worker needs for one video: ids and paths, never arrays.

    Args:
        nodes: names of the report's nodes, in its order.
        truth: where the ground truth lies; None: there is none.
        scored: the video with the sentences that can be scored.
        open_judge: makes of ground truth what scores the expressions one by one.
        has_images: False where the data set has masks alone.
        longest: of the sides of pictures and masks, in pixels.
        votes: by node, J&F of the expressions at the settings of a sweep.
    """

    video: Video
    sides: tuple[VideoSide, ...]
    nodes: tuple[str, ...]
    truth: TruthSource | None
    scored: Video
    open_judge: OpenJudge
    has_images: bool
    longest: int
    votes: Mapping[str, VoteScores]


@dataclass(frozen=True, slots=True, eq=False)
class CollectedVideo:
    """One video: its part of the page, its distinct pictures as JPEG, and what the index says of it.

    The scores are those of every expression by node, empty without ground truth, which says what is `seen` of the
    sentences that can be scored; `abstaining` are, by node, the expressions that it has no vote on.
    """

    view: VideoView
    pictures: tuple[bytes, ...]
    rows: tuple[ExpressionRow, ...]
    groups: Mapping[str, tuple[Group, ...]]
    scores: Mapping[str, Sequence[ExpressionScore]]
    abstaining: Mapping[str, frozenset[str]]
    seen: Sequence[ObjectFacts] | None = None


@dataclass(slots=True)
class MaskTable:
    """Every distinct mask of a video once: fusions give all sentences of a group the same ones."""

    size: tuple[int, int]
    texts: dict[str, int] = field(default_factory=dict)
    _known: dict[tuple[bytes, ...], tuple[int, ...]] = field(default_factory=dict)

    def add(self, runs: Sequence[bytes], full: tuple[int, int]) -> tuple[int, ...]:
        """Return the places of masks of size `full` after shrinking them to the table's size."""
        key = tuple(runs)
        if key not in self._known:
            small = shrink_runs(key, full, self.size)
            self._known[key] = tuple(self.texts.setdefault(text, len(self.texts)) for text in small)
        return self._known[key]


def collect_video(job: VideoJob) -> CollectedVideo | None:
    """Return one video with the masks of every node that is stored; None where nothing is.

    Raises an InputError for frames that are missing or damaged and masks of others, a StoreError for damaged results.
    """
    video = job.video
    stored = {name: found for side in job.sides for name, found in side.sequences().items()}
    first = next((one for own in stored.values() for one in own.values()), None)
    if first is None:
        return None
    for name, own in stored.items():
        for one in own.values():
            one.check_fits(video, first.size, advice=f"make the masks of {name} again")
    truth = job.truth.read() if job.truth is not None else None
    scores: dict[str, tuple[ExpressionScore, ...]] = {}
    if truth is not None:  # each expression on its own
        judge = job.open_judge(job.scored, truth)
        scores = {
            name: tuple(one.condense() for one in judge.judge(list(own.values()))) for name, own in stored.items()
        }
    table = MaskTable(picture_size(first.size, longest=job.longest))
    members = [name for side in job.sides[:1] for name in side.members()]
    tracklets = _view_tracklets(job, table)
    records = {name: found for side in job.sides for name, found in side.refinements().items()}
    chosen = {name: found for side in job.sides for name, found in side.groundings().items()}
    view = VideoView(
        video.id,
        video.frames,
        table.size,
        (),
        (),
        _view_truth(job, truth, table),
        tuple(_view_node(stored.get(name), video, table) for name in job.nodes),
        tuple(
            tuple(records[name][one.id] for one in video.expressions) if name in records else None for name in job.nodes
        ),
        tracklets,
        tuple(_view_grounding(chosen[name], job, tracklets) if name in chosen else None for name in job.nodes),
        tuple(job.votes.get(name) for name in job.nodes),
    )
    rows = tuple(_describe(one, job.nodes, stored, scores, members) for one in video.expressions)
    pictures: tuple[bytes, ...]
    if job.has_images:
        pictures = tuple(encode_picture(video.read_frame(index), table.size) for index in range(video.n_frames))
    else:  # one grey picture for all frames
        pictures = (encode_picture(np.full((*table.size, 3), _GREY, np.uint8), table.size),)
    groups = {name: found for side in job.sides for name, found in side.groups().items()}
    absent = {name: frozenset(one.expression for one in own.values() if one.abstains) for name, own in stored.items()}
    seen = None if truth is None else look_at(job.scored, truth)
    return CollectedVideo(replace(view, masks=tuple(table.texts)), pictures, rows, groups, scores, absent, seen)


def _view_truth(job: VideoJob, truth: VideoTruth | None, table: MaskTable) -> tuple[tuple[int | None, ...], ...] | None:
    if truth is None:
        return None
    video = job.video
    is_known = [video.annotated is None or place in video.annotated for place in range(video.n_frames)]
    found: dict[object, tuple[int | None, ...]] = {}
    for one in job.scored.expressions:
        key = one.object_ids or one.id
        if key not in found:
            masks = truth.masks(one)
            places = table.add(encode(masks), (masks.shape[1], masks.shape[2]))
            found[key] = tuple(one if known else None for one, known in zip(places, is_known, strict=True))
    unknown = (None,) * video.n_frames
    return tuple(found.get(one.object_ids or one.id, unknown) for one in video.expressions)


def _view_node(
    own: Mapping[str, MaskSequence] | None, video: Video, table: MaskTable
) -> tuple[SequenceView | None, ...] | None:
    if own is None:
        return None
    return tuple(
        SequenceView(
            table.add(one.runs, one.size),
            _round(one.scores) if one.scored else (),
            one.pick_key_frame(),
            _round_known(one.presence),
            one.abstains,
        )
        if (one := own.get(expression.id)) is not None
        else None
        for expression in video.expressions
    )


def _view_tracklets(job: VideoJob, table: MaskTable) -> tuple[tuple[TrackletView, ...] | None, ...]:
    stored = {name: found for side in job.sides for name, found in side.tracklets().items()}
    for name, own in stored.items():
        for one in own:
            if one.frames != job.video.frames:
                raise InputError(f"{job.video.id}: {name} has tracklets of other frames; run the node again")
    return tuple(
        tuple(
            TrackletView(
                one.id,
                one.label,
                one.detector,
                round(float(one.confidence), 4),
                one.key_frame,
                table.add(one.runs, one.size),
                _round(one.propagation),
            )
            for one in stored[name]
        )
        if name in stored
        else None
        for name in job.nodes
    )


def _view_grounding(
    grounding: Grounding, job: VideoJob, tracklets: Sequence[tuple[TrackletView, ...] | None]
) -> GroundingView | None:
    place = job.nodes.index(grounding.tracklets)
    candidates = tracklets[place]
    if candidates is None:
        return None
    places = {one.id: index for index, one in enumerate(candidates)}
    said = [grounding.sentences.get(one.id) for one in job.video.expressions]
    rows = tuple(
        None if one is None or len(one.scores) != len(places) else (one.scores, places.get(one.chosen or ""), one.why)
        for one in said
    )
    return GroundingView(place, grounding.by, rows)


def _describe(
    expression: Expression,
    nodes: Sequence[str],
    stored: Mapping[str, Mapping[str, MaskSequence]],
    scores: Mapping[str, Sequence[ExpressionScore]],
    members: Sequence[str],
) -> ExpressionRow:
    own = [stored[name][expression.id] for name in members if expression.id in stored.get(name, {})]
    shown = tuple(
        round(PERCENT * found.j_and_f, 2) if found is not None and expression.id in stored[name] else None
        for name in nodes
        for found in [next((one for one in scores.get(name, ()) if one.expression == expression.id), None)]
    )
    best = max((float(one.scores.max()) for one in own if one.scored), default=None)
    return ExpressionRow(
        expression.id,
        expression.text,
        measure_disagreement([one.as_runs() for one in own]),
        None if best is None else round(best, 4),
        shown,
    )


def measure_disagreement(masks: Sequence[Runs]) -> float:
    """Return 1 - the mean IoU of all pairs of mask sequences, in [0, 1]; two empty ones agree, one member too."""
    overlaps = []
    for first, second in combinations(masks, 2):
        common = intersect(first, second)
        union = first.area() + second.area() - common
        overlaps.append(common / union if union else 1.0)
    return round(1.0 - float(np.mean(overlaps)), 4) if overlaps else 0.0


def _round_known(values: NDArray[np.float32] | None) -> tuple[float | None, ...] | None:
    """Return the values, None for what is not known."""
    return None if values is None else tuple(None if value != value else value for value in _round(values))


def _round(values: NDArray[np.float32]) -> tuple[float, ...]:
    return tuple(round(float(value), 4) for value in values)
