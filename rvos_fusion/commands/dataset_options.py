"""The options of commands that need a data set but no recipe: from a recipe, or format, root and split."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from rvos.errors import ConfigError
from rvos.formats import FORMATS, Dataset, find_format
from rvos_fusion.recipe.reader import read_recipe

DEFAULT_FORMAT = "ref-youtube-vos"


def add_dataset_options(parser: argparse.ArgumentParser) -> None:
    """Declare `--recipe`, or `--format`, `--root` and `--split`."""
    group = parser.add_argument_group("data set")
    group.add_argument("--recipe", type=Path, help="take the data set that a recipe names")
    group.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    group.add_argument("--format", choices=tuple(FORMATS), help=f"without a recipe; default: {DEFAULT_FORMAT}")
    group.add_argument("--root", type=Path, help="folder of the data set")
    group.add_argument("--split", help="default: valid; valid_u for MeViS, test for A2D- and JHMDB-Sentences")


def open_chosen_dataset(options: argparse.Namespace) -> Dataset:
    """Return the data set that the options name.

    Raises:
        ConfigError: neither a recipe nor a root.
        InputError: the data set cannot be used.
    """
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
    form = find_format(options.format or DEFAULT_FORMAT)
    return form.open(options.root, options.split or form.default_split)
