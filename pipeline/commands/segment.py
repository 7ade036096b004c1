"""`rvos segment VIDEO_OR_FOLDER "the red ball" ...`: a recipe's models on one clip of your own."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from fusion.votes import read_runs
from pipeline.executors.choose import choose_executor
from pipeline.executors.driver import run_plan
from pipeline.overlays import draw_video, write_video
from pipeline.own_videos import SPLIT, write_own_video
from pipeline.plan import Plan, make_plan
from pipeline.progress import Progress
from pipeline.recipe.graph import build_graph, check_files
from pipeline.recipe.reader import read_recipe
from pipeline.recipe.recipe import Recipe
from pipeline.report.build import ReportSettings, write_report
from pipeline.report.sides import PlanSide
from pipeline.results import Results
from pipeline.summary import find_exit_status, print_failures
from pipeline.timings import write_timings
from pipeline.workspace import prepare_workspace
from rvos.datasets import Dataset, open_dataset
from rvos.errors import ConfigError
from rvos.files import write_atomically
from rvos.mask_sequences import MaskSequence
from rvos.png import encode_mask_pngs

_FRAMES_PER_SECOND = 6.0
_MOST_FRAMES_PER_SECOND = 1000


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        'examples:\n  rvos segment clip.mp4 "the red ball" "the box it hits" --out runs/clip\n'
        '  rvos segment frames/ "the dog on the left" --recipe recipes/paper.yaml --every 5'
    )
    parser.add_argument("source", type=Path, metavar="VIDEO_OR_FOLDER", help="video file, or folder of images")
    parser.add_argument("texts", nargs="+", metavar="TEXT", help="one expression each")
    parser.add_argument("--recipe", type=Path, default=Path("pipeline.yaml"), help="default: pipeline.yaml")
    parser.add_argument("--out", type=Path, default=Path("runs/segment"), help="default: runs/segment")
    parser.add_argument("--node", help="result to draw; default: the recipe's submission")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take each N-th frame")
    parser.add_argument("--max-frames", type=int, metavar="N", help="take no more frames than this")
    parser.add_argument("--fps", type=float, default=_FRAMES_PER_SECOND, help="of the overlay video")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes side by side")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--quiet", action="store_true", help="no progress")


def run(options: argparse.Namespace) -> int:
    """Segment the clip; print where masks, overlay and report are."""
    if options.every < 1 or (options.max_frames is not None and options.max_frames < 1):
        raise ConfigError(f"--every {options.every}, --max-frames {options.max_frames}: give 1 or more")
    if not 0 < options.fps <= _MOST_FRAMES_PER_SECOND:
        raise ConfigError(f"--fps {options.fps}: give more than 0 and at most {_MOST_FRAMES_PER_SECOND}")
    data = options.out.absolute() / "data"
    recipe = open_own_recipe(options, data)
    video_id = write_own_video(data, options.source, options.texts, every=options.every, max_frames=options.max_frames)
    graph = build_graph(recipe)
    check_files(graph.nodes, recipe)
    dataset = open_dataset("ref-youtube-vos", data, SPLIT)
    prepare_workspace(recipe.workspace)
    video = dataset.video(video_id)
    plan = make_plan(recipe, graph, (video,), device=options.device)
    executor = choose_executor(jobs=options.jobs)
    outcomes = run_plan(plan, executor=executor, watcher=Progress(quiet=options.quiet))
    write_timings(recipe.workspace, plan, outcomes)
    print_failures(outcomes)
    if status := find_exit_status(outcomes):
        return status
    write_results(options, plan, dataset, video_id)
    return 0


def open_own_recipe(options: argparse.Namespace, data: Path) -> Recipe:
    """Return the recipe on the clip's data, every expression on its own.

    Raises:
        ConfigError: the recipe cannot be used, or has members that are not networks, or no such result node.
    """
    own = ["dataset.format=ref-youtube-vos", f"dataset.root={data}", f"dataset.split={SPLIT}", "groups.by=none"]
    workspace = options.out.absolute() / "workspace"
    recipe = read_recipe(options.recipe, [*own, *options.overrides], workspace=workspace)
    imported = [node.name for node in recipe.nodes if node.is_bound()]
    if imported:
        raise ConfigError(f"{options.recipe}: {', '.join(imported)} import masks of other videos; use networks only")
    names = [node.name for node in recipe.nodes]
    if (options.node or recipe.submission) not in names:
        raise ConfigError(
            f"{options.recipe}: no result {options.node or recipe.submission!r}; give --node, one of {', '.join(names)}"
        )
    return recipe


def write_results(options: argparse.Namespace, plan: Plan, dataset: Dataset, video_id: str) -> None:
    """Write the masks, the overlay video and the report of the result, and print their paths."""
    node = str(options.node or plan.recipe.submission)
    video = dataset.video(video_id)
    results = Results(plan, str(options.recipe))
    sequences = results.of_video(video_id).read(node)
    masks = options.out / "masks"
    write_masks(masks, sequences)
    overlay = options.out / "overlay.mp4"
    write_video(overlay, draw_video(video, sequences), frames_per_second=options.fps)
    title = f"{node} on {options.source.name}"
    page = options.out / "report.html"
    settings = ReportSettings(title, quiet=options.quiet)
    write_report(page, dataset, (video,), sides=[PlanSide("", results)], settings=settings)
    print(*(masks, overlay, page), sep="\n", file=sys.stdout)


def write_masks(folder: Path, sequences: Sequence[MaskSequence]) -> None:
    """Write every mask as a greyscale PNG, `<expression>/<frame>.png`."""
    for sequence in sequences:
        for frame, content in zip(sequence.frames, encode_mask_pngs(read_runs(sequence)), strict=True):
            write_atomically(folder / sequence.expression / f"{frame}.png", content)
