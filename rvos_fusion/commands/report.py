"""`rvos report RECIPE [OTHER]`: a page to explore: the graph, the scores, every mask, and two recipes side by side."""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from rvos.errors import ConfigError
from rvos.masks.stored.store import Store
from rvos.videos import Video
from rvos_fusion.commands.shared_options import add_recipe_options, open_recipe, repeat_options
from rvos_fusion.planning.plan import select_videos, share_videos
from rvos_fusion.planning.results import open_results
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.recipe.recipe import Recipe
from rvos_fusion.report.build import LONGEST_SIDE, ReportSettings, write_report
from rvos_fusion.report.sides import FolderSide, PlanSide

_SMALLEST, _LARGEST = 32, 4096


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "examples:\n  rvos report pipeline.yaml --ladder soc soc_aot stage1 stage2 final --out report.html\n"
        "  rvos report pipeline.yaml recipes/paper.yaml --jobs 2   # two recipes on the same videos\n"
        "  rvos report pipeline.yaml runs/before                   # a recipe and another workspace, of any settings"
    )
    add_recipe_options(parser)
    parser.add_argument(
        "other", nargs="?", type=Path, metavar="OTHER", help="a second recipe, or a workspace folder, to compare with"
    )
    parser.add_argument(
        "--out", type=Path, help="page to write, or a folder for it; default: report.html in the workspace"
    )
    parser.add_argument("--ladder", nargs="+", default=[], metavar="NODE", help="rows of the scores, in this order")
    parser.add_argument("--videos", nargs="+", default=[], metavar="VIDEO", help="only these videos")
    parser.add_argument(
        "--most", type=int, metavar="N", help="show the masks of no more videos than this; default: of all"
    )
    parser.add_argument(
        "--size", type=int, default=LONGEST_SIDE, metavar="N", help=f"longest side of pictures; default: {LONGEST_SIDE}"
    )
    parser.add_argument("--no-sweeps", action="store_true", help="leave out the curves, which are scored anew")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes side by side")
    parser.add_argument("--title", help="heading of the page; default: the recipe's name")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def run(options: argparse.Namespace) -> int:
    """Write the page and print where it is."""
    if options.most is not None and options.most < 1:
        raise ConfigError(f"--most {options.most}: give 1 or more")
    if not _SMALLEST <= options.size <= _LARGEST:
        raise ConfigError(f"--size {options.size}: give {_SMALLEST} to {_LARGEST} pixels")
    recipe = open_recipe(options)
    dataset = recipe.dataset.open()
    videos = select_videos(dataset, names=options.videos)
    sides = open_sides(options, recipe, videos)
    names = " and ".join(side.name for side in sides if side.name) or recipe.path.stem
    settings = ReportSettings(
        options.title or f"{names} on {dataset.format} {dataset.split}",
        tuple(options.ladder),
        options.most,
        options.size,
        not options.no_sweeps,
        options.jobs,
        options.quiet,
    )
    path = options.out or recipe.workspace / "report.html"
    if path.suffix.lower() not in (".html", ".htm"):
        path /= "index.html"
    write_report(path, dataset, videos, sides=sides, settings=settings)
    print(path)
    return 0


def open_sides(options: argparse.Namespace, recipe: Recipe, videos: Sequence[Video]) -> list[PlanSide | FolderSide]:
    """Return the recipe's side, and the other's, which must have these videos, where one is named."""
    results = open_results(recipe, videos, repeat_options(options))
    if options.other is None:
        return [PlanSide("", results)]
    names = [_name_side(options.recipe), _name_side(options.other)]
    if names[0] == names[1]:
        names = ["first", "second"]
    if os.path.isdir(options.other):
        return [PlanSide(names[0], results), FolderSide(names[1], Store(options.other.absolute()))]
    second = read_recipe(options.other, [])
    shared = share_videos(second.dataset.open(), videos, options.other)
    return [PlanSide(names[0], results), PlanSide(names[1], open_results(second, shared, f"{options.other}"))]


def _name_side(path: Path) -> str:
    absolute = path.absolute()
    return absolute.name if os.path.isdir(absolute) else absolute.stem
