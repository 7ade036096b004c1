"""`rvos segment VIDEO_OR_FOLDER "the red ball" ...`: a recipe's models on one clip of your own."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from rvos.errors import ConfigError
from rvos.files.atomic import write_atomically
from rvos.formats import Dataset, open_dataset
from rvos.masks.mask_sequences import MaskSequence
from rvos.masks.png import encode_mask_pngs
from rvos.settings import count
from rvos.videos import Video
from rvos_fusion.clips.folders import choose_folder, write_owner
from rvos_fusion.clips.long_clips import bound_memory, explain_bounds
from rvos_fusion.clips.overlays import (
    FRAMES_PER_SECOND,
    Showing,
    check_rate,
    draw_video,
    name_colour,
    read_showing,
    write_video,
)
from rvos_fusion.clips.own_videos import SPLIT, write_own_video
from rvos_fusion.executors.choose import choose_executor
from rvos_fusion.executors.driver import run_plan
from rvos_fusion.kinds.artefacts import MASKS
from rvos_fusion.planning.plan import Plan, make_plan
from rvos_fusion.planning.results import Results
from rvos_fusion.planning.timings import Stopwatch
from rvos_fusion.planning.workspace import prepare_workspace
from rvos_fusion.recipe.graph import build_graph, check_files, restrict_graph
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.recipe.recipe import Recipe
from rvos_fusion.report.build import ReportSettings, write_report
from rvos_fusion.report.sides import PlanSide
from rvos_fusion.running.clip_progress import ClipProgress
from rvos_fusion.running.compute import Bookkeeper
from rvos_fusion.running.run_log import logged, name_log
from rvos_fusion.tables import Column, Table, print_tables
from rvos_fusion.weights.bundled_networks import explain, find_bundled, find_unknown_words, find_unsure
from rvos_fusion.weights.default_recipe import choose_default

_ROOT = Path("runs/segment")
_FEWEST_WORDS = 2
"""Sentences of one word that may be meant so."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a person is told of one sentence.

    Args:
        shown: frames with a mask.
        area: mean part of the frame that it covers there, per cent; None: in no frame.
        score: mean over the frames; None: nothing scored it.
    """

    sentence: str
    colour: str
    shown: str
    area: float | None
    score: float | None


_COLUMNS = (
    Column("sentence", "sentence", folds=True),
    Column("colour", "colour"),
    Column("frames", "shown"),
    Column("area %", "area", ".1f", absent="-"),
    Column("score", "score", absent="-"),
)


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        'examples:\n  rvos segment clip.mp4 "the red ball" "the box it hits" --out runs/clip\n'
        '  rvos segment frames/ "the dog on the left" --recipe recipes/paper.yaml --every 5'
    )
    parser.add_argument("source", type=Path, metavar="VIDEO_OR_FOLDER", help="video file, or folder of images")
    parser.add_argument("texts", nargs="+", metavar="TEXT", help="one expression each")
    parser.add_argument(
        "--recipe", type=Path, help="default: recipes/zero_shot.yaml where its weights are there, else pipeline.yaml"
    )
    parser.add_argument("--out", type=Path, help="default: a folder of the clip's own below runs/segment")
    parser.add_argument("--node", help="result to draw, with what it needs and no more; default: the submission")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take each N-th frame")
    parser.add_argument("--max-frames", type=int, metavar="N", help="take no more frames than this")
    parser.add_argument(
        "--fps", type=float, help="of the overlay video, without sound; default: the clip's, with sound"
    )
    parser.add_argument("--no-sound", action="store_true", help="leave the clip's sound out of the overlay")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes side by side")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(options: argparse.Namespace) -> int:
    """Segment the clip; print what became of each sentence, and where masks, overlay and report are."""
    if options.every < 1 or (options.max_frames is not None and options.max_frames < 1):
        raise ConfigError(f"--every {options.every}, --max-frames {options.max_frames}: give 1 or more")
    check_rate(options.fps)
    warn_of_unquoted(options.texts)
    given = []
    if options.recipe is None:
        chosen, why = choose_default()
        options.recipe, given = chosen.path, list(chosen.overrides)
        print(f"note: {why}", file=sys.stderr)
    options.overrides = [*given, *options.overrides]
    out = choose_folder(options.source, options.out, root=_ROOT)
    data = out.absolute() / "data"
    recipe = open_own_recipe(options, data, out.absolute() / "workspace")
    video_id = write_own_video(data, options.source, options.texts, every=options.every, max_frames=options.max_frames)
    dataset = open_dataset("ref-youtube-vos", data, SPLIT)
    n_frames = dataset.video(video_id).n_frames
    if bounds := bound_memory(recipe, n_frames):
        print(f"note: {explain_bounds(n_frames)}", file=sys.stderr)
        options.overrides = [*bounds, *options.overrides]
        recipe = open_own_recipe(options, data, out.absolute() / "workspace")
    graph = build_graph(recipe)
    if options.node is not None:
        graph = restrict_graph(graph, recipe, options.node)
    check_files(graph.nodes, recipe)
    prepare_workspace(recipe.workspace)
    with logged(name_log(out)) as log:
        progress = ClipProgress(quiet=options.quiet)
        plan = make_plan(recipe, graph, (progress.watch(dataset.video(video_id)),), device=options.device)
        executor = choose_executor(jobs=options.jobs)
        tally = run_plan(plan, executor=executor, watchers=(log, progress, Stopwatch(), Bookkeeper()))
        tally.print_failures()
        if tally.exit_status:
            return tally.exit_status
        warn_of_bundled(plan, dataset.video(video_id), Results(plan))
        write_results(options, out, plan, dataset)
    return 0


def open_own_recipe(options: argparse.Namespace, data: Path, workspace: Path) -> Recipe:
    """Return the recipe on the clip's data, every expression on its own.

    Raises a ConfigError for members that are not networks, or no such result node.
    """
    own = ["dataset.format=ref-youtube-vos", f"dataset.root={data}", f"dataset.split={SPLIT}", "groups.by=none"]
    overrides = [*own, *options.overrides]
    recipe = read_recipe(options.recipe, overrides, workspace=workspace)
    # Corrections by hand are of other videos, even where the clip is called like one of them.
    manual = [node for node in recipe.nodes if any(file.use == "manual" for file in node.files())]
    if manual:
        overrides += [f"stages.{node.stage}.{node.name}.corrections=null" for node in manual]
        recipe = read_recipe(options.recipe, overrides, workspace=workspace)
    imported = [node.name for node in recipe.nodes if any(file.use == "results" for file in node.files())]
    if imported:
        raise ConfigError(
            f"{options.recipe}: masks of other videos are imported by {', '.join(imported)}; use networks only"
        )
    names = [node.name for node in recipe.nodes if node.artefact is MASKS]
    if (options.node or recipe.submission) not in names:
        raise ConfigError(
            f"{options.recipe}: no result {options.node or recipe.submission!r}; give --node, one of {', '.join(names)}"
        )
    return recipe


def warn_of_bundled(plan: Plan, video: Video, results: Results) -> None:
    """Say on standard error where the bundled networks are asked for what they cannot know."""
    lowest = find_bundled(plan.nodes)
    if not lowest:
        return
    members = {name: results.of_video(video.id).by_expression(name) for name in lowest}
    unsure = find_unsure(video.expressions, members, lowest)
    for line in explain(find_unknown_words(video.expressions), unsure):
        print(f"note: {line}", file=sys.stderr)


def write_results(options: argparse.Namespace, out: Path, plan: Plan, dataset: Dataset) -> None:
    """Write the masks, the overlay video and the report of the result, and print their paths."""
    (video,) = dataset.videos
    node = str(options.node or plan.recipe.submission)
    results = Results(plan, str(options.recipe))
    sequences = results.of_video(video.id).read(node)
    masks, overlay, page = out / "masks", out / "overlay.mp4", out / "report.html"
    write_owner(out, options.source, [f"{one.expression}/{frame}.png" for one in sequences for frame in one.frames])
    write_masks(masks, sequences)
    showing = choose_showing(options)
    rate = options.fps or showing.rate or FRAMES_PER_SECOND
    write_video(overlay, draw_video(video, sequences), frames_per_second=rate, showing=showing)
    settings = ReportSettings(f"{node} on {options.source.name}", quiet=options.quiet)
    write_report(page, dataset, (video,), sides=[PlanSide("", results)], settings=settings)
    print_tables([Table(_COLUMNS, [describe_answer(video, one, place) for place, one in enumerate(sequences)])], "text")
    print(*(masks, overlay, page), sep="\n", file=sys.stdout)


def describe_answer(video: Video, sequence: MaskSequence, place: int) -> Answer:
    """Return the row of a sentence, by its place on the overlay."""
    sentences = {expression.id: expression.text for expression in video.expressions}
    height, width = sequence.size
    areas = sequence.as_runs().areas() / (height * width)
    n_shown = int(np.count_nonzero(areas))
    return Answer(
        sentences[sequence.expression],
        name_colour(place),
        f"{n_shown} of {sequence.n_frames}",
        100 * float(areas.sum()) / n_shown if n_shown else None,
        float(sequence.scores.mean()) if sequence.scored else None,
    )


def warn_of_unquoted(texts: Sequence[str]) -> None:
    """Say on standard error where several sentences look like the words of one."""
    if len(texts) > _FEWEST_WORDS and not any(" " in text.strip() for text in texts):
        sentence = " ".join(texts)
        words = count(len(texts), "sentence")
        print(f'note: {words} of one word each; quotes make one of them: "{sentence}"', file=sys.stderr)


def choose_showing(options: argparse.Namespace) -> Showing:
    """Return how the overlay is shown: as the clip is, at another rate, or as nothing is known of a folder."""
    if os.path.isdir(options.source):
        return Showing()
    showing = read_showing(options.source).take(options.every, options.max_frames)
    if options.fps is not None:
        return Showing(pixel_ratio=showing.pixel_ratio)
    return replace(showing, sound=None) if options.no_sound or showing.rate is None else showing


def write_masks(folder: Path, sequences: Sequence[MaskSequence]) -> None:
    """Write every mask as a greyscale PNG, `<expression>/<frame>.png`."""
    for sequence in sequences:
        for frame, content in zip(sequence.frames, encode_mask_pngs(sequence.as_runs()), strict=True):
            write_atomically(folder / sequence.expression / f"{frame}.png", content)
