"""`rvos report RECIPE`: one static page with the graph, the scores and every mask."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from pipeline.commands.recipe_options import add_recipe_options, open_recipe, repeat_options
from pipeline.plan import make_plan, select_videos
from pipeline.recipe.graph import build_graph
from pipeline.report.collect import collect_nodes, collect_video
from pipeline.report.content import Report
from pipeline.report.page import render
from pipeline.report.scores import collect_ladder, collect_sweep
from pipeline.results import Results
from rvos.datasets import Dataset, open_dataset
from rvos.files import write_atomically
from rvos.videos import Video

_MOST_VIDEOS = 40


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = "example:\n  rvos report pipeline.yaml --ladder soc soc_aot stage1 stage2 --out report.html"
    add_recipe_options(parser)
    parser.add_argument("--out", type=Path, help="page to write; default: report.html in the workspace")
    parser.add_argument("--ladder", nargs="+", default=[], metavar="NODE", help="rows of the scores, in this order")
    parser.add_argument("--videos", nargs="+", default=[], metavar="VIDEO", help="only these videos")
    parser.add_argument(
        "--most", type=int, default=_MOST_VIDEOS, metavar="N", help="show the masks of no more videos than this"
    )
    parser.add_argument("--title", help="heading of the page; default: the recipe's name")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(options: argparse.Namespace) -> int:
    """Write the page and print where it is."""
    recipe = open_recipe(options)
    dataset = open_dataset(recipe.dataset.format, recipe.dataset.root, recipe.dataset.split)
    videos = select_videos(dataset, names=options.videos)
    plan = make_plan(recipe, build_graph(recipe), videos)
    report = make_report(
        Results(plan, repeat_options(options)),
        dataset,
        videos,
        ladder=options.ladder,
        most=options.most,
        title=options.title or f"{recipe.path.stem} on {dataset.format} {dataset.split}",
        quiet=options.quiet,
    )
    path = options.out or recipe.workspace / "report.html"
    write_atomically(path, render(report).encode())
    print(path)
    return 0


def make_report(
    results: Results,
    dataset: Dataset,
    videos: Sequence[Video],
    *,
    ladder: Sequence[str] = (),
    most: int = _MOST_VIDEOS,
    title: str,
    quiet: bool = False,
) -> Report:
    """Return the report of what is stored; scores only where the data set has ground truth.

    Raises:
        ConfigError: unknown nodes in the ladder.
        InputError: nothing is stored, or frames are missing.
    """
    shown = videos[:most]
    notes = [f"Scores over {len(videos)} videos; intervals by paired resampling of videos."]
    if len(shown) < len(videos):
        notes.append(f"Masks are shown for the first {len(shown)} videos.")
    views = tuple(
        collect_video(results, dataset, video)
        for video in tqdm(shown, desc="report", unit="video", disable=quiet, file=sys.stderr)
    )
    scored = dataset.truth is not None
    return Report(
        title,
        collect_nodes(results),
        views,
        tuple(collect_ladder(results, dataset, videos, ladder)) if scored else (),
        tuple(collect_sweep(results, dataset, videos)) if scored else (),
        tuple(notes) if scored else (),
    )
