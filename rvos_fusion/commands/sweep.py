"""`rvos sweep RECIPE NODE`: what other thresholds, members, windows or sizes of a node would score."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rvos.errors import ConfigError
from rvos.formats import Dataset
from rvos.settings import nearest
from rvos_fusion.commands.entrants import open_one
from rvos_fusion.commands.shared_options import add_recipe_options
from rvos_fusion.scores.sweep_kinds import SETTINGS, SWEEP_KINDS, SweepKind, find_sweep
from rvos_fusion.scores.sweeping import find_ballot
from rvos_fusion.tables import Column, Table, add_forms, print_tables, read_form

_SHOWN = 20
_OF = {"window": "a refinement", "tau": "a refinement", "islands": "a clean-up", "holes": "a clean-up"}


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
        help="a fusion by votes, a refinement, a gate or a clean-up; its inputs must be finished",
    )
    parser.add_argument("--thresholds", nargs="+", default=[], metavar="T", help="default: all that can differ")
    parser.add_argument("--members", action="store_true", help="every subset of the members, with every threshold")
    for name, values in SETTINGS.items():
        shown = " ".join(f"{value:g}" for value in values)
        parser.add_argument(
            f"--{name}",
            nargs="+",
            type=type(values[0]),
            default=[],
            metavar=name[0].upper(),
            help=f"of {_OF[name]}; default: {shown}",
        )
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the settings and their scores into this file")
    parser.add_argument("--videos", nargs="+", default=[], metavar="VIDEO", help="only these videos")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes side by side")
    add_forms(parser, json_help="print one JSON object with all settings")


def run(options: argparse.Namespace) -> int:
    """Print the settings, best first for subsets; draw them where a picture is asked for."""
    one = open_one(options)
    nodes = {node.name: node for node in one.results.plan.nodes}
    found = find_sweep(nodes.get(options.node))
    if found is None:
        ballots = [name for name, node in nodes.items() if find_ballot(node) is not None]
        raise ConfigError(f"{options.recipe}: no fusion {options.node!r} by votes; {nearest(options.node, ballots)}")
    kind, node = found
    _check_options(kind, options)
    given = {name: getattr(options, name) or SETTINGS.get(name) or () for name in kind.settings}
    rows = kind.sweep(one.labelled, node, given, options.jobs)
    _print(options, kind, rows, one.dataset)
    if options.plot:
        kind.write_plot(one.dataset, node, rows, options.plot)
    return 0


def _check_options(kind: SweepKind, options: argparse.Namespace) -> None:
    """Refuse settings that another kind of node has."""
    names = [name for other in SWEEP_KINDS for name in other.settings]
    foreign = [name for name in names if name not in kind.settings and getattr(options, name)]
    if options.plot and kind.draw is None:
        foreign.append("plot")
    if foreign:
        own = " and ".join(f"--{name}" for name in kind.settings)
        raise ConfigError(
            f"{options.recipe}: {options.node} is {kind.name}; "
            + (f"give {own}, not --{foreign[0]}" if own else f"leave --{foreign[0]} out")
        )
    if options.plot and options.members:
        raise ConfigError(
            f"{options.plot}: a plot shows the thresholds of one set of members; drop --members or --plot"
        )


def _print(options: argparse.Namespace, kind: SweepKind, rows: Sequence[Any], dataset: Dataset) -> None:
    """Print the settings, the best one marked."""
    form, shown = read_form(options), rows
    best = max((row for row in rows if kind.is_choice(row)), key=kind.best)
    if form == "text":
        shown = rows[:_SHOWN] if options.members else kind.thin(rows, best, _SHOWN)
    left_out = len(rows) - len(shown)
    notes = [f"{left_out} more; --json, --csv and --markdown print all"] if left_out else []
    notes += [*kind.explain(dataset, rows), *dataset.name_unknown(dataset.videos)]
    mark = Column("", lambda row: "*" if row is best else "", forms=("text",))
    table = Table((mark, *kind.columns_for(dataset)), shown, notes=tuple(notes), name="settings")
    print_tables([table], form, {"node": options.node})
