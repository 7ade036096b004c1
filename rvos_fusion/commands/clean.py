"""`rvos clean RECIPE`: lists results that no recipe points at any more, and removes them when told to."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import groupby
from operator import attrgetter, itemgetter

from rvos.settings import count
from rvos_fusion.commands.shared_options import add_recipe_options, open_recipe
from rvos_fusion.executors.summary import format_size
from rvos_fusion.planning.results import open_results
from rvos_fusion.planning.workspace import find_place
from rvos_fusion.running.cleaning import Sparing, Unnamed, find_unnamed, parse_age, remove_results
from rvos_fusion.tables import Column, Table, print_tables, read_form

_COLUMNS = (
    Column("node", "node"),
    Column("video", "video"),
    Column("file", lambda row: str(row.path)),
    Column("bytes", lambda row: row.n_bytes),
    Column("reason", "reason"),
)
_GROUPED = (
    Column("node", itemgetter(0)),
    Column("results", itemgetter(1)),
    Column("size", itemgetter(2)),
    Column("reason", itemgetter(3), folds=True),
)


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "examples:\n  rvos clean pipeline.yaml\n  rvos clean pipeline.yaml --remove\n"
        "  rvos clean pipeline.yaml --keep 2 --older-than 7d --remove"
    )
    add_recipe_options(parser)
    parser.add_argument(
        "--keep", type=int, default=0, metavar="N", help="spare the N last used other settings of each node and video"
    )
    parser.add_argument(
        "--older-than",
        default="0m",
        metavar="AGE",
        help="spare what was used since: 30m, 12h, 7d, 2w; default: nothing",
    )
    parser.add_argument("--remove", action="store_true", help="delete what is listed; default: only list it")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """List, or remove, what neither a run of the recipe nor another recipe of the workspace would take."""
    sparing = Sparing(options.keep, parse_age(options.older_than))
    recipe = open_recipe(options)
    find_place(recipe.workspace)
    plan = open_results(recipe, recipe.dataset.open().videos).plan
    beside = find_unnamed(plan)
    found = sparing.choose(beside)
    if options.remove:
        remove_results(plan, found)
    table = Table(_COLUMNS, found, name="files")
    if not options.json:
        advice = ", removed" if options.remove else "; --remove deletes them" if found else ""
        table = Table(
            _GROUPED,
            _group(found),
            notes=(f"{_sum(found)}{advice}", *_tell_rest(beside, found)),
            has_headings=bool(found),
        )
    kept = {"kept": sum(one.n_bytes for one in beside) - sum(one.n_bytes for one in found)}
    print_tables([table], read_form(options), {"removed": options.remove, **kept})
    return 0


def _tell_rest(beside: Sequence[Unnamed], found: Sequence[Unnamed]) -> Iterator[str]:
    """Yield what else is stored beside the recipe's results, and why it stays."""
    gone = {one.path for one in found}
    left = [one for one in beside if one.path not in gone]
    for recipe in sorted({one.needed_by for one in left if one.needed_by is not None}):
        yield f"kept: {_sum([one for one in left if one.needed_by == recipe])} of {recipe}"
    if spared := [one for one in left if one.needed_by is None]:
        yield f"kept: {_sum(spared)} by --keep or --older-than"


def _sum(results: Sequence[Unnamed]) -> str:
    return f"{count(len(results), 'result')}, {format_size(sum(one.n_bytes for one in results))}"


def _group(found: Sequence[Unnamed]) -> list[tuple[str, int, str, str]]:
    """Return node, number of results, size and reason, a row for every node and reason."""
    rows = []
    key = attrgetter("node", "reason")
    for (node, reason), group in groupby(sorted(found, key=key), key=key):
        sizes = [one.n_bytes for one in group]
        rows.append((node, len(sizes), format_size(sum(sizes)), reason))
    return rows
