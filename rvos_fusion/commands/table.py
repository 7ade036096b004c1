"""`rvos table RECIPE NODE ...`: an ablation table of one recipe or several, with gains over the row before."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvos.errors import ConfigError
from rvos.formats import find_format
from rvos_fusion.commands.entrants import open_one, open_several
from rvos_fusion.commands.recipe_options import add_recipe_options, open_recipe
from rvos_fusion.commands.sample_table import print_samples
from rvos_fusion.commands.stability_table import list_stability, print_stability
from rvos_fusion.commands.table_forms import Cell, Form, add_forms, read_form, write_csv, write_markdown
from rvos_fusion.scores.comparison import score_rows
from rvos_fusion.scores.oracle import OracleRow, measure_oracles
from rvos_fusion.scores.scoring import score_nodes
from rvos_fusion.scores.steadiness import Steadiness, measure_steadiness
from rvos_fusion.scores.tables import TableRow, compare_pairs, make_table

_RECIPES = (".yaml", ".yml")
_PAIRS = "expressions that only one of the two gets right (J&F from 50 on), %"


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.epilog = (
        "examples:\n  rvos table pipeline.yaml soc soc_aot smr_aot stage1 stage2\n"
        "  rvos table pipeline.yaml other.yaml stage1 stage2   # each node of one recipe and of the other"
    )
    add_recipe_options(parser)
    parser.add_argument(
        "nodes",
        nargs="*",
        metavar="NODE",
        help="rows, in this order, and the inputs of the last one; default: all. Names of further recipes (.yaml) may "
        "stand among them: each row is then there for every recipe; default: what each of them submits",
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
    parser.add_argument(
        "--stability",
        action="store_true",
        help="print too how the scores vary over frames, how alike neighbouring masks are, and both by duration",
    )
    add_forms(parser)


def run(options: argparse.Namespace) -> int:
    """Print the table."""
    form = read_form(options)
    if form == "csv" and (options.pairs or options.oracle):
        raise ConfigError("--csv writes one table; leave --pairs and --oracle out, or take --json or --markdown")
    others = [word for word in options.nodes if Path(word).suffix in _RECIPES]
    if find_format(open_recipe(options).dataset.format).has_samples:
        print_samples(options, form, others)
        return 0
    found = _compare(options, others) if others else _score(options)
    _PRINTERS[form](found)
    return 0


@dataclass(frozen=True, slots=True)
class _Found:
    """What a table shows; pairs and the best choices where they were asked for."""

    n_videos: int
    rows: Sequence[TableRow]
    pairs: NDArray[np.float64] | None = None
    oracles: Sequence[OracleRow] | None = None
    steadiness: Sequence[Steadiness] | None = None


def _score(options: argparse.Namespace) -> _Found:
    """Return the rows of one recipe."""
    one = open_one(options)
    results, dataset, videos = one.results, one.dataset, one.videos
    nodes = results.choose_nodes(options.nodes)
    inputs = results.find_inputs(nodes)
    scores = score_nodes(results, dataset, videos, [*nodes, *inputs], jobs=options.jobs)
    oracles = measure_oracles(results, dataset, videos, nodes[-1], jobs=options.jobs) if options.oracle else None
    pairs = compare_pairs(scores) if options.pairs else None
    steadiness = None
    if options.stability:
        steadiness = measure_steadiness(results, dataset, videos, [*nodes, *inputs], jobs=options.jobs)
    return _Found(len(videos), make_table(nodes, scores, inputs=inputs), pairs, oracles, steadiness)


def _compare(options: argparse.Namespace, others: Sequence[str]) -> _Found:
    """Return the rows of several recipes."""
    if options.oracle or options.stability:
        raise ConfigError("--oracle and --stability are for one recipe; leave them out, or the other recipes")
    rows = open_several(options, others)
    scores = score_rows(rows, jobs=options.jobs)
    names = [f"{entrant.name}/{node}" for entrant, node in rows]
    return _Found(len(scores), make_table(names, scores), compare_pairs(scores) if options.pairs else None)


def _print_json(found: _Found) -> None:
    content: dict[str, Any] = {"videos": found.n_videos, "rows": [asdict(row) for row in found.rows]}
    if found.pairs is not None:
        content["pairs"] = found.pairs.tolist()
    if found.oracles is not None:
        content["oracle"] = [asdict(row) for row in found.oracles]
    if found.steadiness is not None:
        content["stability"] = [asdict(row) for row in found.steadiness]
    json.dump(content, sys.stdout, indent=1)
    print()


def _print_csv(found: _Found) -> None:
    headings: tuple[str, ...] = ("node", "J", "F", "J&F", "targets", "gain", "low", "high", "input_of")
    rows: list[tuple[Cell, ...]] = [
        (row.node, row.j, row.f, row.j_and_f, row.targets, row.gain, row.low, row.high, row.input_of)
        for row in found.rows
    ]
    if found.steadiness is not None:
        headings += ("variance J", "variance J&F", "consistency")
        rows = [(*row, *_list_steadiness(own)) for row, own in zip(rows, found.steadiness[:-1], strict=True)]
    print(write_csv(headings, rows), end="")


def _print_markdown(found: _Found) -> None:
    names = [_name_row(row) for row in found.rows]
    rows = [
        (name, row.j, row.f, row.j_and_f, "" if row.gain is None else f"{row.gain:+.2f}", _show_interval(row))
        for name, row in zip(names, found.rows, strict=True)
    ]
    print(write_markdown(("node", "J", "F", "J&F", "gain", "95 % interval"), rows), end="")
    if found.pairs is not None:
        differing = [(row.node, *(100 * pair).tolist()) for row, pair in zip(found.rows, found.pairs, strict=True)]
        print(f"\n{_PAIRS}\n")
        print(write_markdown(("", *(row.node for row in found.rows)), differing), end="")
    if found.oracles is not None:
        best = [(f"{row.name}, {row.node}", row.j, row.f, row.j_and_f, row.gap) for row in found.oracles]
        print()
        print(write_markdown(("best choice by ground truth", "J", "F", "J&F", "above"), best), end="")
    if found.steadiness is not None:
        print()
        print(write_markdown(*list_stability(found.steadiness)), end="")


def _print_text(found: _Found) -> None:
    print_table(found.rows)
    if found.pairs is not None:
        print_pairs([row.node for row in found.rows], found.pairs)
    if found.oracles is not None:
        print_oracles(next(row.node for row in reversed(found.rows) if row.input_of is None), found.oracles)
    if found.steadiness is not None:
        print_stability(found.steadiness)


_PRINTERS: Mapping[Form, Callable[[_Found], None]] = {
    "text": _print_text,
    "json": _print_json,
    "csv": _print_csv,
    "markdown": _print_markdown,
}


def _list_steadiness(own: Steadiness) -> tuple[float, float, float]:
    return own.variance_j, own.variance_j_and_f, own.consistency


def _name_row(row: TableRow) -> str:
    return row.node if row.input_of is None else f"+ {row.node}"


def _show_interval(row: TableRow) -> str:
    return "" if row.gain is None else f"[{row.low:+.2f}, {row.high:+.2f}]"


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
    print(f"\n{_PAIRS}")
    print(" " * width + "".join(f"  {node:>{max(len(node), 5)}}" for node in nodes))
    for node, row in zip(nodes, pairs, strict=True):
        cells = (f"  {100 * value:>{max(len(other), 5)}.1f}" for other, value in zip(nodes, row, strict=True))
        print(f"{node:{width}}{''.join(cells)}")


def print_table(rows: Sequence[TableRow]) -> None:
    """Print the rows."""
    width = max([len(_name_row(row)) for row in rows] + [4])
    targets = "" if rows[0].targets is None else f" {'targets':>7}"
    print(f"{'node':{width}}  {'J':>6} {'F':>6} {'J&F':>6}{targets}  {'gain':>6}  95 % interval")
    for row in rows:
        line = f"{_name_row(row):{width}}  {row.j:>6.2f} {row.f:>6.2f} {row.j_and_f:>6.2f}"
        if row.targets is not None:
            line += f" {row.targets:>7.2f}"
        if row.gain is not None:
            line += f"  {row.gain:>+6.2f}  {_show_interval(row)}"
        print(line)
    last = next((row.input_of for row in rows if row.input_of is not None), None)
    if last is not None:
        print(f"+ further inputs of {last}; their gain is what {last} gains over them")
    if targets:
        print("targets: J&F of the sentences that have a target")
