"""`rvos run RECIPE`: computes what is missing, every video as far as its inputs are there."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from functools import partial

from rvos.errors import StoreError
from rvos.masks.stored.store import Store
from rvos_fusion.commands.shared_options import add_recipe_options, open_recipe, repeat_options
from rvos_fusion.executors.summary import Tally, format_size
from rvos_fusion.kinds.artefacts import MASKS
from rvos_fusion.kinds.groups.review import write_review
from rvos_fusion.planning.plan import Plan, find_missing_inputs, make_plan, parse_shard, select_videos
from rvos_fusion.planning.workspace import prepare_workspace
from rvos_fusion.recipe.graph import build_graph, check_files, choose_stage, restrict_graph
from rvos_fusion.recipe.recipe import Recipe
from rvos_fusion.running.cleaning import find_dependents, forget_results
from rvos_fusion.running.compute import RunMeans, compute
from rvos_fusion.running.run_log import logged, name_log
from rvos_fusion.tables import PEOPLE, PROGRAMS, Column, Table, print_tables, read_form

_COLUMNS = (
    Column("node", "node"),
    Column("done", "done"),
    Column("reused", "reused"),
    Column("failed", "failed"),
    Column("seconds", lambda row: round(row.seconds, 3), ".1f"),
    Column("bytes", lambda row: row.n_bytes, forms=PROGRAMS),
    Column("size", lambda row: format_size(row.n_bytes), forms=PEOPLE),
)


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "examples:\n  rvos run pipeline.yaml\n"
        "  rvos run recipes/paper.yaml --workspace runs/paper --set dataset.root=data/rvos --stage 1 --jobs 4"
    )
    add_recipe_options(parser, optional=True)
    part = parser.add_mutually_exclusive_group()
    part.add_argument("--stage", metavar="N", help="only this stage, by number or name; default: all")
    part.add_argument("--node", help="only this node and what it stands on")
    parser.add_argument("--videos", nargs="+", default=[], metavar="VIDEO", help="only these videos")
    parser.add_argument("--shard", metavar="I/N", help="every N-th video from the I-th: N machines share a data set")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes side by side")
    parser.add_argument("--cluster", metavar="ADDRESS", help="dask scheduler, or its file: see docs/cluster.md")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda or cuda:N")
    parser.add_argument(
        "--force",
        nargs="+",
        default=[],
        metavar="NODE",
        help="make the results of these nodes again, and all that stands on them",
    )
    parser.add_argument("--quiet", action="store_true", help="no progress, only failures")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the table")


def run(options: argparse.Namespace) -> int:
    """Run the recipe; 0 when everything is there, 2 after bad input, 1 after any other failure."""
    means = RunMeans(options.jobs, options.cluster, options.device, options.quiet)  # refuses what cannot work
    shard = parse_shard(options.shard) if options.shard else None
    recipe = open_recipe(options)
    stage = choose_stage(recipe, options.stage)
    graph = build_graph(recipe, stage=stage)
    if options.node is not None:
        graph = restrict_graph(graph, recipe, options.node)
    check_files(graph.nodes, recipe)
    dataset = recipe.dataset.open()
    videos = select_videos(dataset, names=options.videos, shard=shard)
    forced = find_dependents(graph.nodes, options.force, recipe)
    prepare_workspace(recipe.workspace)
    with logged(name_log(recipe.workspace)) as log:
        for warning in graph.warnings:
            print(f"warning: {warning}", file=sys.stderr)
        make = partial(make_plan, recipe, graph, videos, device=options.device)
        plan = make()
        _check_earlier_stages(plan, options)
        forget_results(plan, forced, options.force)
        plan, tally = compute(plan, replace(means, watchers=(log,)), plan_again=make)
        _report(options, plan, tally, stage)
        for row in tally.rows(plan):
            log.note(f"{row.node}: {row.done} done, {row.reused} reused, {row.failed} failed, {row.seconds:.1f} s")
    return tally.exit_status


def _check_earlier_stages(plan: Plan, options: argparse.Namespace) -> None:
    """Refuse a run whose earlier stages lack results, with the command that makes them."""
    missing = find_missing_inputs(plan)
    if not missing:
        return
    nodes = list(dict.fromkeys(name for name, _ in missing))
    videos = len({video for _, video in missing})
    stages = list(dict.fromkeys(str(plan.recipe.node(name).stage) for name in nodes))
    number = plan.recipe.stages.index(stages[0]) + 1
    raise StoreError(
        f"{plan.recipe.workspace}: results of {', '.join(stages)} are missing or were made with other settings "
        f"({', '.join(nodes)}; {videos} videos); run first: rvos run {repeat_options(options)} --stage {number}"
    )


def _report(options: argparse.Namespace, plan: Plan, tally: Tally, stage: str | None) -> None:
    recipe, rows = plan.recipe, tally.rows(plan)
    if not options.quiet or options.json:
        content = {"workspace": str(recipe.workspace)}
        print_tables([Table(_COLUMNS, rows, name="nodes")], read_form(options), content)
    tally.print_failures()
    review = write_review(recipe.workspace, plan.tasks, Store(recipe.workspace).index.read())
    if review is not None and not options.quiet:
        table, doubtful = review
        if doubtful:
            print(f"groups: {doubtful} doubtful; {table} lists them first", file=sys.stderr)
    if not options.quiet and not options.json:
        print(f"next: {_advise(options, recipe, tally, stage)}")


def _advise(options: argparse.Namespace, recipe: Recipe, tally: Tally, stage: str | None) -> str:
    """Return the command to type next."""
    words = repeat_options(options)
    if tally.exit_status:
        return f"mend the inputs above, then rvos run {words} again: finished results are kept"
    if options.node is not None and recipe.node(options.node).artefact is MASKS:
        return f"rvos submit {words} --node {options.node}"
    place = len(recipe.stages) if stage is None else recipe.stages.index(stage) + 1
    if place < len(recipe.stages):
        return f"rvos run {words} --stage {place + 1}"
    return f"rvos submit {words}" if recipe.submission else f"rvos table {words}"
