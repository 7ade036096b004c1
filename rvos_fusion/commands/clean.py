"""`rvos clean RECIPE`: lists results that no value of the recipe names any more, and removes them when told to."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from itertools import groupby

from rvos_fusion.commands.recipe_options import add_recipe_options, open_recipe
from rvos_fusion.executors.summary import format_size
from rvos_fusion.planning.plan import make_plan
from rvos_fusion.planning.workspace import find_place
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.running.cleaning import Unnamed, find_unnamed, remove_results


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = "examples:\n  rvos clean pipeline.yaml\n  rvos clean pipeline.yaml --remove"
    add_recipe_options(parser)
    parser.add_argument("--remove", action="store_true", help="delete what is listed; default: only list it")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """List, or remove, what a run of the recipe would not take."""
    recipe = open_recipe(options)
    find_place(recipe.workspace)
    dataset = recipe.dataset.open()
    found = find_unnamed(make_plan(recipe, build_graph(recipe), dataset.videos))
    if options.remove:
        remove_results(found)
    if options.json:
        files = [{"node": one.node, "file": str(one.path), "bytes": one.n_bytes, "reason": one.reason} for one in found]
        json.dump({"removed": options.remove, "files": files}, sys.stdout, indent=1)
        print()
        return 0
    print_found(found)
    total = format_size(sum(one.n_bytes for one in found))
    advice = "" if options.remove or not found else "; --remove deletes them"
    print(f"{len(found)} results, {total}{', removed' if options.remove else advice}")
    return 0


def print_found(found: Sequence[Unnamed]) -> None:
    """Print a line for every node and reason."""
    width = max([len(one.node) for one in found] + [4])
    if found:
        print(f"{'node':{width}}  {'results':>7} {'size':>9}  reason")
    for (node, reason), group in groupby(sorted(found, key=_sort), key=_sort):
        sizes = [one.n_bytes for one in group]
        print(f"{node:{width}}  {len(sizes):>7} {format_size(sum(sizes)):>9}  {reason}")


def _sort(result: Unnamed) -> tuple[str, str]:
    return result.node, result.reason
