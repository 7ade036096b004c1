"""Options that several commands have: a recipe, a data set with or without one."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path

from rvos.errors import ConfigError
from rvos.formats import FORMATS, Dataset, open_dataset
from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.recipe.recipe import Recipe

DEFAULT_RECIPE = Path("pipeline.yaml")


def add_recipe_options(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Declare the recipe, its workspace and `--set`; an optional one is by default that of the current folder."""
    if optional:
        parser.add_argument(
            "recipe", nargs="?", type=Path, default=DEFAULT_RECIPE, metavar="RECIPE", help="default: pipeline.yaml"
        )
    else:
        parser.add_argument("recipe", type=Path, metavar="RECIPE", help="YAML file")
    parser.add_argument("--workspace", type=Path, help="folder of the results; default: as the recipe says")
    parser.add_argument(
        "--set",
        dest="overrides",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any value of the recipe, such as stages.stage1.smr.threshold=4; paths are relative to the current folder",
    )


def open_recipe(options: argparse.Namespace) -> Recipe:
    """Return the recipe that the options name; ConfigError with everything that is wrong with it."""
    workspace = options.workspace.absolute() if options.workspace is not None else None
    return read_recipe(options.recipe, options.overrides, workspace=workspace)


def repeat_options(options: argparse.Namespace) -> str:
    """Return recipe, workspace and `--set` as they were typed, for commands that are suggested."""
    words = [str(options.recipe)]
    if options.workspace is not None:
        words += ["--workspace", str(options.workspace)]
    for override in options.overrides:
        words += ["--set", override]
    return shlex.join(words)


DEFAULT_FORMAT = "ref-youtube-vos"


def add_dataset_options(parser: argparse.ArgumentParser) -> None:
    """Declare `--recipe`, or `--format`, `--root` and `--split`."""
    group = parser.add_argument_group("data set")
    group.add_argument("--recipe", type=Path, help="take the data set that a recipe names")
    group.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    group.add_argument("--format", choices=tuple(FORMATS), help=f"without a recipe; default: {DEFAULT_FORMAT}")
    group.add_argument("--root", type=Path, help="folder of the data set")
    group.add_argument("--split", help="default: valid; valid_u for MeViS, test for ReasonVOS, A2D, JHMDB")


def open_chosen_dataset(options: argparse.Namespace) -> Dataset:
    """Return the data set that the options name; ConfigError where they name neither a recipe nor a root."""
    if options.recipe is not None:
        entry = read_recipe(options.recipe, options.overrides).dataset
        return replace(
            entry,
            format=options.format or entry.format,
            root=options.root or entry.root,
            split=options.split or entry.split,
        ).open()
    if options.root is None:
        raise ConfigError("data set: give --recipe RECIPE, or --root FOLDER with --format and --split")
    return open_dataset(options.format or DEFAULT_FORMAT, options.root, options.split)
