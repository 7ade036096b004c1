"""`rvos table RECIPE NODE --vary KEY=VALUES`: a row for every variant, with gains over the recipe's own."""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Iterator, Sequence

from rvos.formats import open_evaluator
from rvos.settings import count
from rvos_fusion.commands.entrants import open_one
from rvos_fusion.commands.shared_options import open_recipe, repeat_options
from rvos_fusion.commands.table_columns import tabulate_scores
from rvos_fusion.planning.results import Results
from rvos_fusion.planning.variants import PlannedVariant, find_idle, plan_variant
from rvos_fusion.recipe.variants import parse_grid, read_variants
from rvos_fusion.running.compute import RunMeans
from rvos_fusion.running.variant_scores import score_variants, tabulate_variants
from rvos_fusion.running.variants import compute_variants
from rvos_fusion.tables import PROGRAMS, print_tables, read_form


def run_variants(options: argparse.Namespace) -> int:
    """Print the table; 0, or what a run comes to that could not compute all."""
    form, recipe = read_form(options), open_recipe(options)
    variants = read_variants(recipe, parse_grid(options.vary))
    one = open_one(options, recipe)
    node = one.results.choose_submission(options.nodes[0] if options.nodes else None)
    own, status = one.results, 0
    if options.computes:
        means = RunMeans(options.jobs, quiet=form in PROGRAMS)
        own, planned, tallies = compute_variants(own, variants, node, means)
        for tally in tallies:
            tally.print_failures()
            status = max(status, tally.exit_status)
    else:
        planned = [plan_variant(variant, node, own) for variant in variants]
    own.require([node])
    scores = score_variants(own, planned, node, one.dataset, one.videos, jobs=options.jobs)
    evaluator = open_evaluator(one.dataset)
    rows = tabulate_variants(evaluator.figures, node, planned, scores)
    notes = [f"{key} makes no difference to {node}" for key in find_idle(planned, node)]
    notes += [] if options.computes else _tell_missing(options, own, planned, node)
    content = {"videos": len(one.videos), evaluator.unit: len(scores[0])}
    print_tables([tabulate_scores(evaluator.figures, rows, notes=notes)], form, content)
    if form in PROGRAMS:
        print(*notes, sep="\n", end="\n" if notes else "", file=sys.stderr)
    return status


def _tell_missing(
    options: argparse.Namespace, own: Results, variants: Sequence[PlannedVariant], node: str
) -> Iterator[str]:
    """Yield which variants are not stored, and the command that makes them."""
    n_videos, lacking = len(own.plan.videos), {one.name: len(one.find_missing(node)) for one in variants}
    yield from (f"{name} has {n_videos - n} of {count(n_videos, 'video')}" for name, n in lacking.items() if n)
    if any(lacking.values()):
        words = [word for text in options.vary for word in ("--vary", text)]
        yield f"to make what is missing: rvos table {repeat_options(options)} {node} {shlex.join(words)} --run"
