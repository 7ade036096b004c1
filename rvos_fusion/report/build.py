"""Builds a report: videos are gathered and written side by side, then the index that knows them all."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import joblib
from tqdm import tqdm

from fusion.groups import Group
from rvos.errors import InputError
from rvos.evaluation.resampling import FEWEST_VIDEOS
from rvos.evaluation.results import ExpressionScore
from rvos.formats import Dataset, find_format, open_evaluator
from rvos.settings import count
from rvos.videos import Video
from rvos_fusion.report.collect import VideoJob, collect_video
from rvos_fusion.report.content import ExpressionRow, GroupRow, Ladder, Report, ReportNode, VideoRow, VoteScores
from rvos_fusion.report.page import clear_files, name_files, write_page, write_video
from rvos_fusion.report.scores import Sweeps, collect_ladder, collect_sweeps, make_ladder
from rvos_fusion.report.sides import PlanSide, Side
from rvos_fusion.report.slicing import Places, slice_sentences
from rvos_fusion.scores.slice_facts import ObjectFacts
from rvos_fusion.scores.tables import make_table

LONGEST_SIDE = 480
_NAMED = 3


@dataclass(frozen=True, slots=True)
class ReportSettings:
    """What a report shows.

    Args:
        title: heading of the page.
        ladder: rows of the scores, in this order; none: all nodes that are finished.
        most: show the masks of no more videos than this; None: of all.
        longest: of the sides of pictures and masks, in pixels.
        sweeps: score what other settings would give.
        jobs: worker processes.
        quiet: no progress bar.
    """

    title: str
    ladder: tuple[str, ...] = ()
    most: int | None = None
    longest: int = LONGEST_SIDE
    sweeps: bool = True
    jobs: int = 1
    quiet: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """What the index needs of a video whose part of the page is written; see `CollectedVideo`."""

    index: int
    video: Video
    rows: tuple[ExpressionRow, ...]
    groups: Mapping[str, tuple[Group, ...]]
    scores: Mapping[str, Sequence[ExpressionScore]]
    seen: Sequence[ObjectFacts] | None
    abstaining: Mapping[str, frozenset[str]]


def write_report(
    path: Path,
    dataset: Dataset,
    videos: Sequence[Video],
    *,
    sides: Sequence[Side],
    settings: ReportSettings,
) -> Report:
    """Write the page and its folder of files; return the index.

    Args:
        path: of the page.
        sides: the first one is a plan of these videos; a second one is compared with it.

    Raises:
        ConfigError: unknown nodes in the ladder.
        InputError: nothing is stored, frames are missing, or the sides do not belong together.
        StoreError: a damaged result, or a file that cannot be written.
    """
    nodes = [node for side in sides for node in side.nodes()]
    chosen = videos[: settings.most]
    sweeps = _sweep(dataset, videos, sides, settings)
    jobs = [
        _make_job(dataset, video, sides, nodes=nodes, votes=sweeps.votes, longest=settings.longest) for video in chosen
    ]
    tasks = (joblib.delayed(_write_part)(name_files(path), index, job) for index, job in enumerate(jobs))
    found = joblib.Parallel(n_jobs=settings.jobs, return_as="generator")(tasks)
    bar = tqdm(found, desc="report", total=len(chosen), unit="video", disable=settings.quiet, file=sys.stderr)
    parts: list[Part] = [part for part in bar if part is not None]
    if not parts:
        raise InputError(f"{path}: nothing of video {chosen[0].id} yet; {sides[0].advice()}")
    # One node for every different grouping: most nodes of a recipe share one.
    kept: list[str] = []
    for node in nodes:
        if any(node.name in part.groups for part in parts) and _find_grouping(node.name, kept, parts) is None:
            kept.append(node.name)
    ladders, notes = _score(dataset, videos, sides=sides, parts=parts, settings=settings)
    notes += sweeps.notes + _name_left_out(videos, chosen, parts)
    kinds, places = slice_sentences(dataset, [(part.video, part.seen) for part in parts])
    report = Report(
        settings.title,
        tuple(_count_needs(node, sides, kept, parts) for node in nodes),
        tuple(_describe_video(part, kept, places) for part in parts),
        tuple(ladder for ladder in ladders if ladder.rows),
        tuple(sweeps.curves),
        tuple(notes),
        _find_finals(sides),
        kinds,
    )
    write_page(path, report)
    clear_files(name_files(path), len(chosen))
    return report


def _sweep(dataset: Dataset, videos: Sequence[Video], sides: Sequence[Side], settings: ReportSettings) -> Sweeps:
    """Return what other settings would give on all sides; nothing without ground truth, or where it is not wanted."""
    sweeps = Sweeps()
    for side in sides:
        if settings.sweeps and dataset.truth is not None and isinstance(side, PlanSide):
            sweeps.add(collect_sweeps(side.results, dataset, videos, jobs=settings.jobs), side.prefix)
    return sweeps


def _make_job(
    dataset: Dataset,
    video: Video,
    sides: Sequence[Side],
    *,
    nodes: Sequence[ReportNode],
    votes: Mapping[str, Mapping[str, VoteScores]],
    longest: int,
) -> VideoJob:
    scored = dataset.scored(video)
    truth = dataset.select_truth(scored) if dataset.truth is not None else None
    own = tuple(side.of_video(video.id) for side in sides)
    return VideoJob(
        video,
        own,
        tuple(node.name for node in nodes),
        truth,
        scored,
        open_evaluator(dataset).open_alone,
        dataset.image_folder is not None,
        longest,
        votes.get(video.id, {}),
    )


def _write_part(files: Path, index: int, job: VideoJob) -> Part | None:
    """Write a video; None where nothing of it is stored."""
    found = collect_video(job)
    if found is None:
        return None
    # Masks and pictures go to disk in the worker: of hundreds of videos they would not fit into memory.
    write_video(files, index, found.view, found.pictures)
    return Part(index, job.video, found.rows, found.groups, found.scores, found.seen, found.abstaining)


def _find_grouping(node: str, kept: Sequence[str], parts: Sequence[Part]) -> int | None:
    """Return the place of a node's grouping among the different ones; None: none of them is its own."""
    if not any(node in part.groups for part in parts):
        return None
    alike = (all(part.groups.get(node) == part.groups.get(other) for part in parts) for other in kept)
    return next((place for place, is_alike in enumerate(alike) if is_alike), None)


def _count_needs(node: ReportNode, sides: Sequence[Side], kept: Sequence[str], parts: Sequence[Part]) -> ReportNode:
    side = next(side for side in sides if side.name == node.side)
    given = [(group, part.abstaining) for part in parts for group in part.groups.get(node.name, ())]
    is_empty = node.content == "masks" and not any(node.name in part.abstaining for part in parts)
    return replace(
        node,
        grouping=_find_grouping(node.name, kept, parts),
        needs=side.count_votes(node.name, given),
        content="nothing" if is_empty else node.content,
    )


def _describe_video(part: Part, kept: Sequence[str], slices: Places) -> VideoRow:
    places = {expression.id: place for place, expression in enumerate(part.video.expressions)}
    groups = tuple(
        tuple(
            GroupRow(tuple(places[name] for name in group.expressions), group.confidence) for group in part.groups[node]
        )
        if node in part.groups
        else None
        for node in kept
    )
    rows = tuple(replace(row, slices=slices.get((part.video.id, row.id), ())) for row in part.rows)
    return VideoRow(part.index, part.video.id, part.video.n_frames, rows, groups)


def _find_finals(sides: Sequence[Side]) -> tuple[str, ...]:
    """Return the nodes that are compared first: what the recipes submit, or the same node of the other side."""
    finals: list[str] = []
    for side in sides:
        names = {node.name: node.name.removeprefix(f"{side.name}/") for node in side.nodes() if node.content == "masks"}
        wanted = side.final() or (finals[0].partition("/")[2] if finals else None)
        found = next((name for name, plain in names.items() if wanted in (name, plain)), None)
        if found is not None:
            finals.append(found)
    return tuple(finals)


def _score(
    dataset: Dataset,
    videos: Sequence[Video],
    *,
    sides: Sequence[Side],
    parts: Sequence[Part],
    settings: ReportSettings,
) -> tuple[list[Ladder], list[str]]:
    """Return ladders and what is to be said of them; nothing without ground truth."""
    if dataset.truth is None:
        return [], ["No ground truth, so no scores."]
    ladders = []
    what, drawn = ("annotated frame", "samples") if find_format(dataset.format).has_samples else ("video", "videos")
    limits = f"intervals by paired resampling of {drawn}" if len(videos) >= FEWEST_VIDEOS else "too few for intervals"
    notes = [f"Scores over {count(len(videos), what)}; {limits}."]
    notes += [f"{line}." for line in dataset.name_unknown(videos)]
    for side in sides:
        if not isinstance(side, PlanSide):
            continue
        prefix = side.prefix
        known = {p.video.id: {name.removeprefix(prefix): own for name, own in p.scores.items()} for p in parts}
        names = settings.ladder if side is sides[0] else ()
        rows, coverage = collect_ladder(side.results, dataset, videos, names, known=known, jobs=settings.jobs)
        ladders.append(make_ladder(side.name, dataset, rows, prefix=prefix))
        notes += [f"{prefix}{note}." for note in coverage.notes()]
    finals = _find_finals(sides)
    if len(finals) > 1:
        ladders.append(_compare(dataset, finals, parts))
    return ladders, notes


def _compare(dataset: Dataset, finals: Sequence[str], parts: Sequence[Part]) -> Ladder:
    """Return what the second side gains over the first, on the videos that both have."""
    both = [part for part in parts if all(name in part.scores for name in finals)]
    evaluator = open_evaluator(dataset)
    if not both or not evaluator.scores_alone:
        return Ladder("", ())
    scores = [[one for part in both for one in part.scores[name]] for name in finals]
    rows = make_table(evaluator.figures, finals, scores)
    return make_ladder(f"{finals[1]} against {finals[0]}, {count(len(both), 'video')}", dataset, rows)


def _name_left_out(videos: Sequence[Video], chosen: Sequence[Video], parts: Sequence[Part]) -> list[str]:
    """Return what the page must say that it does not show."""
    notes = []
    if len(chosen) < len(videos):
        notes.append(f"Masks are shown for the first {len(chosen)} of {count(len(videos), 'video')}, as --most asks.")
    shown = {part.video.id for part in parts}
    absent = [video.id for video in chosen if video.id not in shown]
    if absent:
        dots = ", ..." if len(absent) > _NAMED else ""
        notes.append(
            f"{count(len(absent), 'video has', 'videos have')} no results yet: {', '.join(absent[:_NAMED])}{dots}."
        )
    return notes
