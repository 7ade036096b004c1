"""`rvos sweep RECIPE NODE`: what other settings of a node would score, of those that are cheap to try."""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from rvos.errors import ConfigError
from rvos.settings import nearest
from rvos_fusion.commands.entrants import open_one
from rvos_fusion.commands.shared_options import add_recipe_options
from rvos_fusion.commands.table_columns import list_score_columns
from rvos_fusion.kinds.base import Node, capability
from rvos_fusion.kinds.trials import Combining, Swept
from rvos_fusion.scores.sweep_plot import plot_sweep
from rvos_fusion.scores.tables import TableRow
from rvos_fusion.scores.trials import MEMBERS, Sweep, sweep_node
from rvos_fusion.tables import PEOPLE, PROGRAMS, Column, Table, add_forms, print_tables, read_form

SETTINGS: Mapping[str, str] = {
    "threshold": "of a fusion or a gate; default: all that can differ, of a gate at most 60",
    "capacity": "of an assignment",
    "window": "of a refinement",
    "tau": "of a refinement",
    "islands": "of a clean-up",
    "holes": "of a clean-up",
    "gate": "of a grounding",
    "bound": "of an audit of existence",
    "nms_iou": "of tracklets; what their first reader makes of them is scored",
    "keep": "of tracklets",
}
"""What is cheap to try, by its key in the recipe."""
_SHOWN = 20


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "examples:\n  rvos sweep pipeline.yaml stage1 --plot sweep.png\n  rvos sweep pipeline.yaml stage1 --members\n"
        "  rvos sweep pipeline.yaml smr --thresholds 2 3 4 0.6\n"
        "  rvos sweep recipes/mevis_refinement.yaml refined --window 5 10 15 20 --tau 0.6 0.7 0.8 --plot sweep.png\n"
        "  rvos sweep recipe.yaml cleaned --islands 0 0.05 0.1 --holes 0 0.05"
    )
    add_recipe_options(parser)
    parser.add_argument(
        "node",
        metavar="NODE",
        help="a fusion, refinement, clean-up, gate, audit of existence, grounding or tracklets; its inputs must be "
        "finished",
    )
    for key, what in SETTINGS.items():
        names = [f"--{key.replace('_', '-')}", *(["--thresholds"] if key == "threshold" else [])]
        parser.add_argument(*names, dest=key, nargs="+", default=[], metavar=key[0].upper(), help=what)
    parser.add_argument("--members", action="store_true", help="every subset of the members, with every threshold")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the settings and their scores into this file")
    parser.add_argument("--videos", nargs="+", default=[], metavar="VIDEO", help="only these videos")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes side by side")
    add_forms(parser, json_help="print one JSON object with all settings")


def run(options: argparse.Namespace) -> int:
    """Print the settings, best first for subsets; draw them where a picture is asked for."""
    one = open_one(options)
    nodes = {node.name: node for node in one.results.plan.nodes}
    node = nodes.get(options.node)
    swept = capability(node, Swept)
    if node is None or swept is None or not (swept.cheap or options.members):
        known = [name for name, own in nodes.items() if (found := capability(own, Swept)) and found.cheap]
        lacks = "no such node" if node is None else f"kind {node.kind} has no setting that is cheap to try"
        raise ConfigError(f"{options.recipe}: no sweep of {options.node!r}: {lacks}; {nearest(options.node, known)}")
    given = _read_settings(options, node, swept)
    sweep = sweep_node(one.labelled, node, given=given, subsets=options.members, jobs=options.jobs)
    _print(options, sweep, one.dataset.name_unknown(one.dataset.videos))
    if options.plot:
        plot_sweep(sweep, options.plot)
    return 0


def _read_settings(options: argparse.Namespace, node: Node, swept: Swept) -> dict[str, Sequence[str]]:
    """Return what was given; ConfigError for settings that the node does not have, or that do not go together."""
    given = {key: values for key in SETTINGS if (values := getattr(options, key))}
    foreign = [key for key in given if key not in swept.cheap]
    if options.members and capability(node, Combining) is None:
        foreign.append("members")
    if foreign:
        own = " and ".join(f"--{_to_option(key)}" for key in swept.cheap)
        raise ConfigError(
            f"{options.recipe}: {options.node} is of kind {node.kind}; give {own or '--members'}, not "
            f"--{_to_option(foreign[0])}"
        )
    if options.members and (given or options.plot):
        other = "--plot" if options.plot else f"--{_to_option(next(iter(given)))}"
        raise ConfigError(f"--members tries every subset with every threshold; drop --members or {other}")
    return given


def _to_option(key: str) -> str:
    return key.replace("_", "-")


def _print(options: argparse.Namespace, sweep: Sweep, unknown: Sequence[str]) -> None:
    """Print the settings, the best one and the recipe's own marked."""
    form, rows = read_form(options), sweep.rows
    if form == "text":
        rows = _thin(sweep, first=options.members)
    left_out = len(sweep.rows) - len(rows)
    notes = [f"* best; = the recipe's own{_name_scored(sweep)}, over which the others gain"]
    notes += [f"{left_out} more; --json, --csv and --markdown print all"] if left_out else []
    notes += [one.note for one in sweep.figures if one.note and any(one.name in row.figures for row in rows)]
    mark = Column("", lambda row: "*" * (row is sweep.best) + "=" * (row is sweep.own), forms=PEOPLE)
    columns = [mark, Column("node", "node", forms=PROGRAMS), *_list_settings(sweep)]
    columns += [
        *list_score_columns(sweep.figures, sweep.rows),
        Column("own", lambda row: row is sweep.own, forms=PROGRAMS),
    ]
    table = Table(tuple(columns), rows, notes=(*notes, *unknown), name="settings")
    print_tables([table], form, {"node": options.node})


def _name_scored(sweep: Sweep) -> str:
    return "" if sweep.scored == sweep.node else f", both by what {sweep.scored} makes of it"


def _list_settings(sweep: Sweep) -> list[Column]:
    """Return the columns of the settings; in the row of the masks as they are, people read whose they are."""
    columns = []
    for place, key in enumerate(sweep.keys):
        name = "members" if key == MEMBERS else key
        columns.append(Column(name, partial(_take_setting, key), forms=PROGRAMS))

        def show(row: TableRow, key: str = key, is_first: bool = place == 0) -> object:
            return row.node if is_first and not row.settings else _take_setting(key, row)

        columns.append(Column(name, show, ".4g", PEOPLE, folds=key == MEMBERS))
    return columns


def _take_setting(key: str, row: TableRow) -> object:
    """Return a number or a list of names as such, else what a recipe says."""
    text = row.settings.get(key)
    try:
        found = None if text is None else json.loads(text)
    except ValueError:
        return text
    return tuple(found) if isinstance(found, list) else found


def _thin(sweep: Sweep, *, first: bool) -> list[TableRow]:
    """Return about as many of the rows as can be read: the first, or else some of one setting's; all of a grid."""
    step = 1 if first or len(sweep.keys) > 1 else max(1, len(sweep.rows) // _SHOWN)
    places = range(_SHOWN) if first else range(0, len(sweep.rows), step) if step > 1 else range(len(sweep.rows))
    kept = (sweep.best, sweep.own)
    return [row for place, row in enumerate(sweep.rows) if place in places or row in kept or not row.settings]
