"""`rvos table RECIPE NODE ...`: an ablation table of one recipe or several, with gains over the row before."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rvos.errors import ConfigError
from rvos.evaluation.figures.base import Figure
from rvos.evaluation.results import ExpressionScore
from rvos.formats import open_evaluator
from rvos.masks.stored.store import Store
from rvos_fusion.commands.entrants import open_one, open_several
from rvos_fusion.commands.shared_options import DEFAULT_RECIPE, add_recipe_options, open_recipe, repeat_options
from rvos_fusion.commands.table_columns import (
    tabulate_oracles,
    tabulate_pairs,
    tabulate_scores,
    tabulate_slices,
    tabulate_steadiness,
)
from rvos_fusion.commands.table_variants import run_variants
from rvos_fusion.recipe.published import PublishedRow, describe_data, find_published
from rvos_fusion.scores.comparison import Labelled, score_rows
from rvos_fusion.scores.oracle import OracleRow, measure_oracles
from rvos_fusion.scores.scoring import score_nodes
from rvos_fusion.scores.slice_facts import collect_facts
from rvos_fusion.scores.slices import SLICES, Slice, slice_scores
from rvos_fusion.scores.steadiness import Steadiness, measure_steadiness
from rvos_fusion.scores.tables import TableRow, compare_pairs, find_coverage, make_covered_table, make_table
from rvos_fusion.tables import PROGRAMS, add_forms, print_tables, read_form

_RECIPES = (".yaml", ".yml")


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "examples:\n  rvos table pipeline.yaml soc soc_aot stage1 stage2 final\n"
        "  rvos table pipeline.yaml other.yaml stage1 stage2   # each node of one recipe and of the other\n"
        "  rvos table recipes/paper.yaml --rows\n"
        "  rvos table pipeline.yaml stage2 final --by motion\n"
        "  rvos table pipeline.yaml stage2 --vary stages.stage2.stage2.threshold=2,3,'2 of 4' --run"
    )
    add_recipe_options(parser, optional=True)
    parser.add_argument(
        "nodes",
        nargs="*",
        metavar="NODE",
        help="rows, in this order, and the inputs of the last one; default: all, unfinished ones too. "
        "Names of further recipes (.yaml) may "
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
    parser.add_argument(
        "--rows",
        action="store_true",
        help="print beside each node that is a row of a paper's table, as the recipe says under `rows`, the number "
        "published there; without named nodes these alone",
    )
    parser.add_argument(
        "--by",
        choices=tuple(SLICES),
        help="print too J&F by slices: " + "; ".join(f"{name}: {kind.title}" for name, kind in SLICES.items()),
    )
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="KEY=VALUES",
        help="a row for every value of a setting, with gains over the recipe's own row, such as "
        "stages.stage1.smr.threshold=2,3,4; several make a grid; default node: what the recipe submits",
    )
    parser.add_argument(
        "--run", dest="computes", action="store_true", help="compute what --vary lacks; default: only name it"
    )
    add_forms(parser)


def run(options: argparse.Namespace) -> int:
    """Print the table."""
    if options.recipe.suffix not in _RECIPES and not options.recipe.exists():  # the first of the nodes
        options.nodes.insert(0, str(options.recipe))
        options.recipe = DEFAULT_RECIPE
    form = read_form(options)
    if form == "csv" and (options.pairs or options.oracle):
        raise ConfigError("--csv writes one table; leave --pairs and --oracle out, or take --json or --markdown")
    others = [word for word in options.nodes if Path(word).suffix in _RECIPES]
    if others and (options.oracle or options.stability or options.rows or options.by):
        raise ConfigError(
            "--oracle, --stability, --rows and --by are for one recipe; leave them out, or the other recipes"
        )
    if options.vary or options.computes:
        _refuse_beside_vary(options, others)
        return run_variants(options)
    scored = _score_several(options, others) if others else _score_one(options)
    tables = [
        tabulate_scores(scored.figures, scored.rows, scored.steadiness, notes=scored.notes, published=scored.published)
    ]
    content: dict[str, object] = {"videos": scored.n_videos, scored.unit: len(scored.scores[0])}
    if options.pairs:
        pairs = compare_pairs(scored.scores)
        tables.append(tabulate_pairs(scored.names, pairs))
        content["pairs"] = pairs.tolist()
    if options.oracle:
        tables.append(tabulate_oracles(scored.last, scored.oracles))
    if scored.steadiness:
        tables.append(tabulate_steadiness(scored.steadiness))
    if scored.slices:
        tables.append(tabulate_slices(options.by, scored.names, scored.slices, form))
    if form == "csv":  # the slices in place of the rows
        tables = tables[-1:] if scored.slices else tables[:1]
    print_tables(tables, form, content)
    if form in PROGRAMS:
        print(*scored.notes, sep="\n", end="\n" if scored.notes else "", file=sys.stderr)
    return int(scored.lacks_submission)


def _refuse_beside_vary(options: argparse.Namespace, others: Sequence[str]) -> None:
    if not options.vary:
        raise ConfigError("--run computes what --vary lacks; add --vary, or take rvos run")
    asks_more = options.pairs or options.oracle or options.stability or options.rows or options.by
    if others or len(options.nodes) > 1 or asks_more:
        raise ConfigError(
            "--vary is for one recipe and one node; leave --pairs, --oracle, --stability, --rows, --by out"
        )


@dataclass(frozen=True, slots=True, eq=False)
class _Scored:
    """What the table shows.

    Args:
        scores: of the rows of `names`, those that have any result.
        notes: what is lacking.
        last: the node of the last named row.
        lacks_submission: whether the row of the submission's node lacks videos.
        published: by node, what papers print; None: not asked for.
        slices: what `--by` asks for, last the whole.
    """

    figures: Sequence[Figure]
    unit: str
    n_videos: int
    rows: Sequence[TableRow]
    names: Sequence[str]
    scores: Sequence[Sequence[ExpressionScore]]
    last: str = ""
    notes: Sequence[str] = ()
    oracles: Sequence[OracleRow] = ()
    steadiness: Sequence[Steadiness] = ()
    lacks_submission: bool = False
    published: Mapping[str, PublishedRow] | None = None
    slices: Sequence[Slice] = ()


def _score_one(options: argparse.Namespace) -> _Scored:
    """Score the rows of one recipe, on the videos that all of them have."""
    recipe = open_recipe(options)
    published = find_published(recipe) if options.rows else None
    if published is not None and not options.nodes and not Store(recipe.workspace).nodes():
        notes = [f"{recipe.workspace}: nothing is computed yet; run first: rvos run {repeat_options(options)}"]
        notes += describe_data(published.values(), None, ())
        empty = [TableRow(node, {}) for node in published]
        return _Scored((), "expressions", 0, empty, (), [()], notes=notes, published=published)
    one = open_one(options, recipe)
    nodes = one.results.choose_nodes(options.nodes)
    if published is not None and not options.nodes:
        nodes = [node for node in published if node in nodes] or one.results.choose_nodes(list(published))
    coverage = find_coverage(one.results, one.videos, nodes)
    labelled, evaluator = (one.results, one.dataset, coverage.videos), open_evaluator(one.dataset)
    scores = score_nodes(*labelled, coverage.scored, jobs=options.jobs)
    return _Scored(
        evaluator.figures,
        evaluator.unit,
        len(coverage.videos),
        make_covered_table(evaluator.figures, nodes, scores, coverage),
        coverage.scored,
        scores,
        nodes[-1],
        [
            *coverage.notes(),
            *one.dataset.name_unknown(coverage.videos),
            *describe_data((published or {}).values(), one.dataset, coverage.videos),
        ],
        measure_oracles(*labelled, nodes[-1], jobs=options.jobs) if options.oracle else (),
        measure_steadiness(*labelled, coverage.scored, jobs=options.jobs) if options.stability else (),
        coverage.missing.get(one.results.plan.recipe.submission or "", 0) > 0,
        published,
        _slice(options, labelled, scores),
    )


def _slice(options: argparse.Namespace, labelled: Labelled, scores: Sequence[Sequence[ExpressionScore]]) -> list[Slice]:
    if options.by is None:
        return []
    results, dataset, videos = labelled
    truth = SLICES[options.by].needs_truth
    facts = collect_facts(results, dataset, videos, with_truth=truth, jobs=options.jobs)
    return slice_scores(dataset, options.by, facts, scores)


def _score_several(options: argparse.Namespace, others: Sequence[str]) -> _Scored:
    """Score the rows of several recipes, which have results for all videos."""
    rows = open_several(options, others)
    evaluator, scores = open_evaluator(rows[0][0].dataset), score_rows(rows, jobs=options.jobs)
    names = [f"{entrant.name}/{node}" for entrant, node in rows]
    table = make_table(evaluator.figures, names, scores)
    return _Scored(evaluator.figures, evaluator.unit, len(rows[0][0].videos), table, names, scores)
