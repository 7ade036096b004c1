"""`rvos table RECIPE NODE ...`: an ablation table, each row with its gain over the row before."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict

from pipeline.commands.recipe_options import add_recipe_options, open_recipe
from pipeline.execution import select_videos
from pipeline.scoring import score_nodes
from pipeline.tables import TableRow, choose_nodes, make_table
from rvos.datasets import open_dataset
from rvos.store import Store


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = "example:\n  rvos table pipeline.yaml soc soc_aot smr_aot stage1 stage2"
    add_recipe_options(parser)
    parser.add_argument("nodes", nargs="*", metavar="NODE", help="rows, in this order; default: all that are finished")
    parser.add_argument("--videos", nargs="+", default=[], metavar="VIDEO", help="only these videos")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes side by side")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print the table."""
    recipe = open_recipe(options)
    dataset = open_dataset(recipe.dataset.format, recipe.dataset.root, recipe.dataset.split)
    videos = select_videos(dataset, names=options.videos)
    store = Store(recipe.workspace)
    nodes = choose_nodes(recipe, store, options.nodes, [video.id for video in videos])
    rows = make_table(nodes, score_nodes(store, dataset, videos, nodes, jobs=options.jobs))
    if options.json:
        json.dump({"videos": len(videos), "rows": [asdict(row) for row in rows]}, sys.stdout, indent=1)
        print()
    else:
        print_table(rows)
    return 0


def print_table(rows: Sequence[TableRow]) -> None:
    """Print the rows."""
    width = max([len(row.node) for row in rows] + [4])
    print(f"{'node':{width}}  {'J':>6} {'F':>6} {'J&F':>6}  {'gain':>6}  95 % interval")
    for row in rows:
        line = f"{row.node:{width}}  {row.j:>6.2f} {row.f:>6.2f} {row.j_and_f:>6.2f}"
        if row.gain is not None:
            line += f"  {row.gain:>+6.2f}  [{row.low:+.2f}, {row.high:+.2f}]"
        print(line)
