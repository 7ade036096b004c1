"""The finished results of the recipes that a command's options name."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rvos.errors import ConfigError
from rvos_fusion.commands.shared_options import open_recipe, repeat_options
from rvos_fusion.planning.plan import make_plan, select_videos
from rvos_fusion.planning.results import Results
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.recipe import Recipe
from rvos_fusion.scores.comparison import Entrant, choose_rows, open_entrants


def open_one(options: argparse.Namespace, recipe: Recipe | None = None) -> Entrant:
    """Return the one recipe, with the videos that the options choose.

    Args:
        recipe: as it is to be taken; None: as the options name it.

    Raises:
        ConfigError: everything that is wrong with the recipe.
        InputError: the data set cannot be read, or lacks a chosen video.
    """
    recipe = recipe or open_recipe(options)
    dataset = recipe.dataset.open()
    videos = select_videos(dataset, names=options.videos)
    results = Results(make_plan(recipe, build_graph(recipe), videos), repeat_options(options))
    return Entrant(recipe.path.stem, results, dataset, videos)


def open_several(options: argparse.Namespace, others: Sequence[str]) -> list[tuple[Entrant, str]]:
    """Return the rows of a table of several recipes; `others` are those that stand among the words for nodes.

    Raises:
        ConfigError: a workspace, which is one recipe's; everything of `open_entrants` and `choose_rows`.
    """
    if options.workspace is not None:
        raise ConfigError("--workspace is for one recipe; leave it out, or the other recipes")
    paths = dict.fromkeys([options.recipe, *map(Path, others)])
    entrants = open_entrants(list(paths), options.overrides, options.videos)
    return choose_rows(entrants, [word for word in options.nodes if word not in others])
