"""The finished results of the recipes that a command's options name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rvos.errors import ConfigError
from rvos_fusion.commands.shared_options import open_recipe, repeat_options
from rvos_fusion.planning.plan import select_videos
from rvos_fusion.planning.results import open_results
from rvos_fusion.recipe.recipe import Recipe
from rvos_fusion.scores.comparison import Entrant, choose_rows, open_entrants


def open_one(options: argparse.Namespace, recipe: Recipe | None = None) -> Entrant:
    """Return the one recipe, as it is given or else as the options name it, with the videos that these choose.

    Raises:
        ConfigError, InputError: what is wrong with the recipe or the data set, which may lack a chosen video.
    """
    recipe = recipe or open_recipe(options)
    dataset = recipe.dataset.open()
    videos = select_videos(dataset, names=options.videos)
    return Entrant(recipe.path.stem, open_results(recipe, videos, repeat_options(options)), dataset, videos)


def open_several(options: argparse.Namespace, others: Sequence[str]) -> list[tuple[Entrant, str]]:
    """Return the rows of a table of several recipes; `others` are those that stand among the words for nodes.

    Raises a ConfigError for a workspace, which is one recipe's, else what `open_entrants` and `choose_rows` do.
    """
    if options.workspace is not None:
        raise ConfigError("--workspace is for one recipe; leave it out, or the other recipes")
    paths = dict.fromkeys([options.recipe, *map(Path, others)])
    entrants = open_entrants(list(paths), options.overrides, options.videos)
    return choose_rows(entrants, [word for word in options.nodes if word not in others])
