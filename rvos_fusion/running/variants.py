"""Variants of a recipe, computed after the recipe itself."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from rvos.settings import count
from rvos_fusion.executors.summary import Tally
from rvos_fusion.planning.plan import Plan, make_plan
from rvos_fusion.planning.results import Results, open_results
from rvos_fusion.planning.variants import PlannedVariant, plan_variant
from rvos_fusion.planning.workspace import prepare_workspace
from rvos_fusion.recipe.graph import Graph, check_files
from rvos_fusion.recipe.variants import Variant
from rvos_fusion.running.compute import RunMeans, compute


def compute_variants(
    own: Results, variants: Sequence[Variant], node: str, means: RunMeans
) -> tuple[Results, list[PlannedVariant], list[Tally]]:
    """Compute what a node and its variants lack; return the recipe's results, the variants' and what became of all.

    Raises what `compute` does. A failing video does not stop the others.
    """
    recipe, videos = own.plan.recipe, own.plan.videos
    # Before anything is computed: a value may be out of reach for these videos.
    planned = [plan_variant(variant, node, own, device=means.device) for variant in variants]
    # What the variants leave as it is, too: they may read nodes that the recipe's own does not.
    needed = {one.name for variant in variants for one in variant.recipe.graph.order(node)} & own.plan.tasks.keys()
    graph = Graph(recipe.graph.order(node, *needed), (), ())
    check_files(graph.nodes, recipe)
    prepare_workspace(recipe.workspace)
    make = partial(make_plan, recipe, graph, videos, device=means.device)
    tallies = [compute(make(like=own.plan), means, plan_again=make)[1]]
    if any(finding.evidence is None for finding in own.plan.order):  # it may be known now
        own = open_results(recipe, videos, own.options)
        planned = [plan_variant(variant, node, own, device=means.device) for variant in variants]
    for place, one in enumerate(planned):
        if one.results is not None and (n_missing := _count_missing(one.results)):
            if not means.quiet:
                print(f"{place + 1}/{len(planned)} {one.name}: {count(n_missing, 'result')}", file=sys.stderr)
            tallies.append(_compute(one.results.plan, means))
            # Anew, as what was missing a moment ago is there now.
            planned[place] = replace(one, results=Results(one.results.plan, own.options))
    return Results(own.plan, own.options), planned, tallies


def _count_missing(results: Results) -> int:
    return sum(len(results.find_missing(name)) for name in results.plan.tasks)


def _compute(plan: Plan, means: RunMeans) -> Tally:
    return compute(plan, replace(means, is_variant=True, quiet=True), plan_again=lambda: plan)[1]
