"""`rvos table RECIPE NODE ...`: an ablation table, each row with its gain over the row before."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pipeline.commands.recipe_options import add_recipe_options, open_recipe, repeat_options
from pipeline.oracle import OracleRow, measure_oracles
from pipeline.plan import make_plan, select_videos
from pipeline.recipe.graph import build_graph
from pipeline.results import Results
from pipeline.scoring import score_nodes
from pipeline.tables import TableRow, compare_pairs, make_table
from rvos.datasets import open_dataset


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = "example:\n  rvos table pipeline.yaml soc soc_aot smr_aot stage1 stage2"
    add_recipe_options(parser)
    parser.add_argument(
        "nodes", nargs="*", metavar="NODE", help="rows, in this order, and the inputs of the last one; default: all"
    )
    parser.add_argument("--videos", nargs="+", default=[], metavar="VIDEO", help="only these videos")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes side by side")
    parser.add_argument(
        "--pairs", action="store_true", help="print too which part of the expressions only one of two nodes gets right"
    )
    parser.add_argument(
        "--oracle",
        action="store_true",
        help="print too the best choice for every sentence of what the last row's node and its inputs could take",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print the table."""
    recipe = open_recipe(options)
    dataset = open_dataset(recipe.dataset.format, recipe.dataset.root, recipe.dataset.split)
    videos = select_videos(dataset, names=options.videos)
    results = Results(make_plan(recipe, build_graph(recipe), videos), repeat_options(options))
    nodes = results.choose_nodes(options.nodes)
    inputs = results.find_inputs(nodes)
    scores = score_nodes(results, dataset, videos, [*nodes, *inputs], jobs=options.jobs)
    rows, pairs = make_table(nodes, scores, inputs=inputs), compare_pairs(scores)
    oracles = measure_oracles(results, dataset, videos, nodes[-1], jobs=options.jobs) if options.oracle else []
    if options.json:
        content: dict[str, Any] = {"videos": len(videos), "rows": [asdict(row) for row in rows]}
        if options.pairs:
            content["pairs"] = pairs.tolist()
        if options.oracle:
            content["oracle"] = [asdict(row) for row in oracles]
        json.dump(content, sys.stdout, indent=1)
        print()
        return 0
    print_table(rows)
    if options.pairs:
        print_pairs([*nodes, *inputs], pairs)
    if options.oracle:
        print_oracles(nodes[-1], oracles)
    return 0


def print_oracles(node: str, rows: Sequence[OracleRow]) -> None:
    """Print the best choices beside what was chosen."""
    names = [f"{row.name}, {row.node}" for row in rows]
    width = max(len(name) for name in names)
    print(f"\n{'best choice by ground truth':{width}}  {'J':>6} {'F':>6} {'J&F':>6}  {'above':>6}  95 % interval")
    for name, row in zip(names, rows, strict=True):
        figures = f"{row.j:>6.2f} {row.f:>6.2f} {row.j_and_f:>6.2f}  {row.gap:>+6.2f}"
        print(f"{name:{width}}  {figures}  [{row.low:+.2f}, {row.high:+.2f}]")
    print(f"above: what was there and {node} did not choose; what lacks to 100 was not there")


def print_pairs(nodes: Sequence[str], pairs: NDArray[np.float64]) -> None:
    """Print how differently the nodes fail."""
    width = max(len(node) for node in nodes)
    print("\nexpressions that only one of the two gets right (J&F from 50 on), %")
    print(" " * width + "".join(f"  {node:>{max(len(node), 5)}}" for node in nodes))
    for node, row in zip(nodes, pairs, strict=True):
        cells = (f"  {100 * value:>{max(len(other), 5)}.1f}" for other, value in zip(nodes, row, strict=True))
        print(f"{node:{width}}{''.join(cells)}")


def print_table(rows: Sequence[TableRow]) -> None:
    """Print the rows."""
    names = {row.node: row.node if row.input_of is None else f"+ {row.node}" for row in rows}
    width = max([len(name) for name in names.values()] + [4])
    targets = "" if rows[0].targets is None else f" {'targets':>7}"
    print(f"{'node':{width}}  {'J':>6} {'F':>6} {'J&F':>6}{targets}  {'gain':>6}  95 % interval")
    for row in rows:
        line = f"{names[row.node]:{width}}  {row.j:>6.2f} {row.f:>6.2f} {row.j_and_f:>6.2f}"
        if row.targets is not None:
            line += f" {row.targets:>7.2f}"
        if row.gain is not None:
            line += f"  {row.gain:>+6.2f}  [{row.low:+.2f}, {row.high:+.2f}]"
        print(line)
    last = next((row.input_of for row in rows if row.input_of is not None), None)
    if last is not None:
        print(f"+ further inputs of {last}; their gain is what {last} gains over them")
    if targets:
        print("targets: J&F of the sentences that have a target")
