"""The options of commands that need a data set but no recipe: from a recipe, or format, root and split."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from rvos.errors import ConfigError
from rvos.formats import FORMATS, Dataset, open_dataset
from rvos_fusion.recipe.reader import read_recipe

DEFAULT_SPLITS = {
    "ref-youtube-vos": "valid",
    "ref-davis17": "valid",
    "mevis": "valid_u",
    "a2d-sentences": "test",
    "jhmdb-sentences": "test",
}


def add_dataset_options(parser: argparse.ArgumentParser) -> None:
    """Declare `--recipe`, or `--format`, `--root` and `--split`."""
    group = parser.add_argument_group("data set")
    group.add_argument("--recipe", type=Path, help="take the data set that a recipe names")
    group.add_argument("--set", dest="overrides", action="append", default=[], metavar="KEY=VALUE")
    group.add_argument("--format", choices=tuple(FORMATS), help="without a recipe; default: ref-youtube-vos")
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
    name = options.format or "ref-youtube-vos"
    return open_dataset(name, options.root, options.split or DEFAULT_SPLITS[name])
