"""`rvos clean RECIPE`: lists results that no value of the recipe names any more, and removes them when told to."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter, itemgetter

from rvos.settings import count
from rvos_fusion.commands.shared_options import add_recipe_options, open_recipe
from rvos_fusion.executors.summary import format_size
from rvos_fusion.planning.results import open_results
from rvos_fusion.planning.workspace import find_place
from rvos_fusion.running.cleaning import Unnamed, find_unnamed, remove_results
from rvos_fusion.tables import Column, Table, print_tables, read_form

_COLUMNS = (
    Column("node", "node"),
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
    parser.epilog = "examples:\n  rvos clean pipeline.yaml\n  rvos clean pipeline.yaml --remove"
    add_recipe_options(parser)
    parser.add_argument("--remove", action="store_true", help="delete what is listed; default: only list it")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """List, or remove, what a run of the recipe would not take."""
    recipe = open_recipe(options)
    find_place(recipe.workspace)
    found = find_unnamed(open_results(recipe, recipe.dataset.open().videos).plan)
    if options.remove:
        remove_results(found)
    table = Table(_COLUMNS, found, name="files")
    if not options.json:
        total = format_size(sum(one.n_bytes for one in found))
        advice = ", removed" if options.remove else "; --remove deletes them" if found else ""
        notes = (f"{count(len(found), 'result')}, {total}{advice}",)
        table = Table(_GROUPED, _group(found), notes=notes, has_headings=bool(found))
    print_tables([table], read_form(options), {"removed": options.remove})
    return 0


def _group(found: Sequence[Unnamed]) -> list[tuple[str, int, str, str]]:
    """Return node, number of results, size and reason, a row for every node and reason."""
    rows = []
    key = attrgetter("node", "reason")
    for (node, reason), group in groupby(sorted(found, key=key), key=key):
        sizes = [one.n_bytes for one in group]
        rows.append((node, len(sizes), format_size(sum(sizes)), reason))
    return rows
