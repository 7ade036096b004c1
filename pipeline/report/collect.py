"""Gathers a report from a recipe's workspace: stored masks, frames, ground truth, timings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from pipeline.kinds.artefacts import MASKS
from pipeline.kinds.base import Node, Task
from pipeline.refinement_report import build_report
from pipeline.report.content import ExpressionView, NodeState, ReportNode, SequenceView, VideoView, VoteView
from pipeline.report.pictures import data_address, picture_size, shrink_masks, shrink_runs
from pipeline.results import Results
from pipeline.timings import read_seconds
from propagate.refinement import refine
from rvos.datasets import Dataset
from rvos.datasets.truth import VideoTruth
from rvos.errors import InputError
from rvos.evaluation.expressions import ExpressionJudge
from rvos.mask_sequences import MaskSequence
from rvos.videos import Expression, Video

LONGEST_SIDE = 480
PERCENT = 100.0
Sequences = Mapping[str, Mapping[str, MaskSequence]]


def collect_nodes(results: Results) -> tuple[ReportNode, ...]:
    """Return the graph as the page draws it; a node is done when every video of the plan is stored."""
    plan = results.plan
    seconds = read_seconds(plan.recipe.workspace)
    return tuple(
        _describe_node(node, is_done=not results.find_missing(node.name), seconds=seconds.get(node.name))
        for node in plan.nodes
    )


def collect_video(results: Results, dataset: Dataset, video: Video) -> VideoView:
    """Return one video with the masks of every node that is stored.

    Raises:
        InputError: frames are missing or damaged, or nothing is stored yet.
        StoreError: a stored result is damaged.
    """
    tasks = {name: next(task for task in own if task.video.id == video.id) for name, own in results.plan.tasks.items()}
    stored = _read_stored(results, tasks)
    if not stored:
        workspace = results.plan.recipe.workspace
        raise InputError(f"{workspace}: nothing of video {video.id} yet; run first: {results.command}")
    votes = _find_votes({name: tasks[name] for name in stored})
    truth = dataset.read_truth(video) if dataset.truth is not None else None
    frame_size = next(iter(next(iter(stored.values())).values())).size
    size = picture_size(frame_size, longest=LONGEST_SIDE)
    members = [name for name in stored if not tasks[name].node.inputs()]
    scores = _score_views(video, truth, stored)
    refinements = _find_refinements({name: tasks[name] for name in stored})
    views = tuple(
        replace(
            _view_expression(one, stored, votes, scores, truth, size, members),
            refinements={name: records[one.id] for name, records in refinements.items()},
        )
        for one in video.expressions
    )
    return VideoView(video.id, video.frames, size, _take_pictures(dataset, video, size), views)


def _describe_node(node: Node, *, is_done: bool, seconds: float | None) -> ReportNode:
    state: NodeState = "done" if is_done else "missing"
    ballot = node.ballot()
    return ReportNode(
        node.name,
        node.kind,
        node.stage or "models",
        node.inputs(),
        state,
        seconds,
        node.detail(),
        ballot.rule.integer_weights() if ballot is not None else (),
    )


def _read_stored(results: Results, tasks: Mapping[str, Task]) -> dict[str, dict[str, MaskSequence]]:
    """Return the sequences of every stored node by expression."""
    found = {}
    for name, task in tasks.items():
        own = results.of_video(task.video.id)
        if task.node.artefact is MASKS and own.has(name):
            found[name] = own.by_expression(name)
    return found


def _find_votes(tasks: Mapping[str, Task]) -> dict[str, dict[str, VoteView]]:
    """Return for every voting node how it voted on each expression."""
    votes: dict[str, dict[str, VoteView]] = {}
    for name, task in tasks.items():
        ballot = task.node.ballot()
        if ballot is not None:
            votes[name] = {
                expression: VoteView(group.expressions, ballot.rule.count_votes(len(group.expressions))[1])
                for group in ballot.find_groups(task.video, task.read)
                for expression in group.expressions
            }
    return votes


def _find_refinements(tasks: Mapping[str, Task]) -> dict[str, dict[str, dict[str, object]]]:
    """Return the record of every refining node by expression; it is counted again from what is stored."""
    found: dict[str, dict[str, dict[str, object]]] = {}
    for name, task in tasks.items():
        refiner = task.node.refiner()
        if refiner is not None:
            found[name] = {
                given.expression.id: build_report(given, refine(given.evidence, refiner.rules))
                for given in refiner.gather(task.video, task.read_artefact)
            }
    return found


def _view_expression(
    expression: Expression,
    stored: Sequences,
    votes: Mapping[str, Mapping[str, VoteView]],
    scores: Mapping[str, Mapping[str, float]],
    truth: VideoTruth | None,
    size: tuple[int, int],
    members: Sequence[str],
) -> ExpressionView:
    own = {name: sequences[expression.id] for name, sequences in stored.items() if expression.id in sequences}
    expected = truth.masks(expression) if truth is not None else None
    return ExpressionView(
        expression.id,
        expression.text,
        {name: by_expression[expression.id] for name, by_expression in votes.items()},
        measure_disagreement([own[name].masks() for name in members]),
        {name: _view_sequence(one, scores.get(name, {}).get(one.expression), size) for name, one in own.items()},
        shrink_masks(expected, size) if expected is not None else None,
    )


def _view_sequence(sequence: MaskSequence, score: float | None, size: tuple[int, int]) -> SequenceView:
    scores = tuple(round(float(value), 4) for value in sequence.scores)
    return SequenceView(shrink_runs(sequence, size), scores, sequence.pick_key_frame(), score)


def _score_views(video: Video, truth: VideoTruth | None, stored: Sequences) -> dict[str, dict[str, float]]:
    """Return J&F in per cent of every node's masks, each expression on its own; nothing without ground truth."""
    if truth is None:
        return {}
    judge = ExpressionJudge(video, truth)
    return {
        name: {one.expression: round(PERCENT * one.j_and_f, 2) for one in judge.judge(list(own.values()))}
        for name, own in stored.items()
    }


def measure_disagreement(masks: Sequence[NDArray[np.bool_]]) -> float:
    """Return 1 - the mean IoU of all pairs of masks (T, H, W), in [0, 1]; two empty ones agree, one member too."""
    overlaps = []
    for first, second in combinations(masks, 2):
        union = int(np.count_nonzero(first | second))
        overlaps.append(np.count_nonzero(first & second) / union if union else 1.0)
    return round(1.0 - float(np.mean(overlaps)), 4) if overlaps else 0.0


def _take_pictures(dataset: Dataset, video: Video, size: tuple[int, int]) -> tuple[str, ...]:
    """Return the frames as data addresses; grey ones where the data set has no images."""
    if dataset.image_folder is None:
        return (data_address(np.full((*size, 3), 128, dtype=np.uint8), size),) * video.n_frames
    return tuple(data_address(video.read_frame(index), size) for index in range(video.n_frames))
