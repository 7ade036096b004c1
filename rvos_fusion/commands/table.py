"""`rvos table RECIPE NODE ...`: an ablation table of one recipe or several, with gains over the row before."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rvos.errors import ConfigError
from rvos.formats import find_format
from rvos_fusion.commands.entrants import open_one, open_several
from rvos_fusion.commands.recipe_options import add_recipe_options, open_recipe
from rvos_fusion.commands.sample_table import print_samples
from rvos_fusion.commands.stability_table import list_csv_columns, tabulate_stability
from rvos_fusion.commands.table_forms import add_forms, read_form
from rvos_fusion.scores.comparison import score_rows
from rvos_fusion.scores.oracle import OracleRow, measure_oracles
from rvos_fusion.scores.scoring import score_nodes
from rvos_fusion.scores.steadiness import Steadiness, measure_steadiness
from rvos_fusion.scores.tables import TableRow, compare_pairs, make_table
from rvos_fusion.tables import FORMS, PEOPLE, PROGRAMS, Column, Table, print_tables

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
    content = {"videos": found.n_videos} | ({} if found.pairs is None else {"pairs": found.pairs.tolist()})
    tables = _list_tables(found)
    print_tables(tables[:1] if form == "csv" else tables, form, content)
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


def _list_tables(found: _Found) -> list[Table]:
    """Return the scores, and below them what else was asked for."""
    tables = [_tabulate_scores(found)]
    if found.pairs is not None:
        tables.append(_tabulate_pairs([row.node for row in found.rows], found.pairs))
    if found.oracles is not None:
        node = next(row.node for row in reversed(found.rows) if row.input_of is None)
        note = f"above: what was there and {node} did not choose; what lacks to 100 was not there"
        tables.append(Table(_ORACLE, found.oracles, notes=(note,), name="oracle"))
    if found.steadiness is not None:
        tables.append(tabulate_stability(found.steadiness))
    return tables


def _tabulate_scores(found: _Found) -> Table:
    last = next((row.input_of for row in found.rows if row.input_of is not None), None)
    has_targets = found.rows[0].targets is not None
    notes = [] if last is None else [f"+ further inputs of {last}; their gain is what {last} gains over them"]
    notes += ["targets: J&F of the sentences that have a target"] if has_targets else []
    targets = Column("targets", "targets", forms=FORMS if has_targets else PROGRAMS)
    steady = list_csv_columns(found.steadiness or ())
    return Table((*_SCORES, targets, *_GAIN, *steady), found.rows, notes=tuple(notes))


def _tabulate_pairs(nodes: Sequence[str], pairs: NDArray[np.float64]) -> Table:
    """Return how differently the nodes fail."""
    columns = [Column(node, itemgetter(place + 1), ".1f") for place, node in enumerate(nodes)]
    rows = [(node, *(100 * pair).tolist()) for node, pair in zip(nodes, pairs, strict=True)]
    return Table((Column("", itemgetter(0)), *columns), rows, title=_PAIRS, name="pairs")


def name_row(row: Any) -> str:
    """Return the name of a row: further inputs have a mark before theirs."""
    return str(row.node) if row.input_of is None else f"+ {row.node}"


def _show_interval(row: Any) -> str | None:
    return None if row.low is None else f"[{row.low:+.2f}, {row.high:+.2f}]"


_MEANS = (Column("J", "j"), Column("F", "f"), Column("J&F", "j_and_f"))
_LIMITS = (
    Column("low", "low", forms=PROGRAMS),
    Column("high", "high", forms=PROGRAMS),
    Column("95 % interval", _show_interval, forms=PEOPLE),
)
_SCORES = (Column("node", "node", forms=PROGRAMS), Column("node", name_row, forms=PEOPLE), *_MEANS)
_GAIN = (Column("gain", "gain", "+.2f"), *_LIMITS, Column("input_of", "input_of", forms=PROGRAMS))
_ORACLE = (
    Column("best choice by ground truth", lambda row: f"{row.name}, {row.node}", forms=PEOPLE),
    Column("name", "name", forms=PROGRAMS),
    Column("node", "node", forms=PROGRAMS),
    *_MEANS,
    Column("above", "gap", "+.2f"),
    *_LIMITS,
)
