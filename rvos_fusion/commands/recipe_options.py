"""The options of every command that reads a recipe."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path

from rvos_fusion.recipe.reader import read_recipe
from rvos_fusion.recipe.recipe import Recipe


def add_recipe_options(parser: argparse.ArgumentParser) -> None:
    """Declare the recipe, its workspace and `--set`."""
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
    """Return the recipe that the options name.

    Raises:
        ConfigError: everything that is wrong with it.
    """
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
