"""`rvos table RECIPE NODE ...`: an ablation table of one recipe or several, with gains over the row before."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from rvos.errors import ConfigError
from rvos.formats import open_evaluator
from rvos_fusion.commands.entrants import open_one, open_several
from rvos_fusion.commands.recipe_options import add_recipe_options
from rvos_fusion.commands.table_columns import (
    tabulate_oracles,
    tabulate_pairs,
    tabulate_scores,
    tabulate_steadiness,
)
from rvos_fusion.commands.table_forms import add_forms, read_form
from rvos_fusion.scores.comparison import Entrant, score_rows
from rvos_fusion.scores.oracle import measure_oracles
from rvos_fusion.scores.steadiness import measure_steadiness
from rvos_fusion.scores.tables import compare_pairs, make_table
from rvos_fusion.tables import print_tables

_RECIPES = (".yaml", ".yml")


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
    if others and (options.oracle or options.stability):
        raise ConfigError("--oracle and --stability are for one recipe; leave them out, or the other recipes")
    rows, n_named = _choose_several(options, others) if others else _choose(options)
    one, nodes = rows[0][0], [node for _, node in rows]
    evaluator = open_evaluator(one.dataset)
    scores = score_rows(rows, jobs=options.jobs)
    names = [f"{entrant.name}/{node}" if others else node for entrant, node in rows]
    table = make_table(evaluator.figures, names[:n_named], scores, inputs=names[n_named:])
    steadiness = measure_steadiness(*one.labelled, nodes, jobs=options.jobs) if options.stability else []
    tables = [tabulate_scores(evaluator.figures, table, steadiness)]
    content: dict[str, object] = {"videos": len(one.videos), evaluator.unit: len(scores[0])}
    if options.pairs:
        pairs = compare_pairs(scores)
        tables.append(tabulate_pairs(names, pairs))
        content["pairs"] = pairs.tolist()
    if options.oracle:
        last = nodes[n_named - 1]
        tables.append(tabulate_oracles(last, measure_oracles(*one.labelled, last, jobs=options.jobs)))
    if steadiness:
        tables.append(tabulate_steadiness(steadiness))
    print_tables(tables[:1] if form == "csv" else tables, form, content)
    return 0


def _choose(options: argparse.Namespace) -> tuple[list[tuple[Entrant, str]], int]:
    """Return the rows of one recipe, and how many are no further inputs of the last of these."""
    one = open_one(options)
    nodes = one.results.choose_nodes(options.nodes)
    return [(one, node) for node in [*nodes, *one.results.find_inputs(nodes)]], len(nodes)


def _choose_several(options: argparse.Namespace, others: Sequence[str]) -> tuple[list[tuple[Entrant, str]], int]:
    """Return the rows of several recipes."""
    rows = open_several(options, others)
    return rows, len(rows)
