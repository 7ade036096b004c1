"""`rvos sweep RECIPE NODE`: what other thresholds, members, windows or sizes of a node would score."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

from rvos.errors import ConfigError
from rvos_fusion.commands.entrants import open_one
from rvos_fusion.commands.recipe_options import add_recipe_options
from rvos_fusion.commands.table_forms import Form, add_forms, read_form, write_csv, write_markdown
from rvos_fusion.kinds.capabilities import Ballot, Cleaner, Gate, Refiner
from rvos_fusion.planning.results import Results
from rvos_fusion.scores.clean_up_sweeping import CleanUpRow, sweep_clean_up
from rvos_fusion.scores.comparison import Entrant
from rvos_fusion.scores.gating import GateRow, read_answers, sweep_gate
from rvos_fusion.scores.refinement_sweeping import RefinementRow, sweep_refinement
from rvos_fusion.scores.sweep_plot import plot_gate, plot_grid, plot_sweep
from rvos_fusion.scores.sweeping import SweepRow, sweep_node

_SHOWN = 20
_WINDOWS = (5, 10, 15, 20)
_TAUS = (0.6, 0.7, 0.8, 0.9)
_ISLANDS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_HOLES = (0.0, 0.02, 0.1, 0.5)


def register(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
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
    parser.add_argument(
        "--window", nargs="+", type=int, default=[], metavar="W", help="of a refinement; default: 5 10 15 20"
    )
    parser.add_argument(
        "--tau", nargs="+", type=float, default=[], metavar="T", help="of a refinement; default: 0.6 0.7 0.8 0.9"
    )
    for name, choices in (("islands", _ISLANDS), ("holes", _HOLES)):
        shown = " ".join(f"{value:g}" for value in choices)
        parser.add_argument(
            f"--{name}", nargs="+", type=float, default=[], metavar="S", help=f"of a clean-up; default: {shown}"
        )
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the thresholds and their scores into this file")
    parser.add_argument("--videos", nargs="+", default=[], metavar="VIDEO", help="only these videos")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="processes side by side")
    add_forms(parser, json_help="print one JSON object with all settings")


def run(options: argparse.Namespace) -> int:
    """Print the settings, best first for subsets; draw them where a picture is asked for."""
    one = open_one(options)
    for kind in _KINDS:
        node = kind.find(one.results, options.node)
        if node is not None:
            _check_options(kind, options)
            kind.sweep(one, node, options)
            break
    return 0


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of node that can be swept.

    Args:
        name: with its article.
        settings: the options that say what is tried.
        drawn: whether `--plot` draws it.
        find: the node of a name; None where it is of another kind.
        sweep: tries all settings and prints them.
    """

    name: str
    settings: tuple[str, ...]
    drawn: bool
    find: Callable[[Results, str], Any]
    sweep: Callable[[Entrant, Any, argparse.Namespace], None]


def _check_options(kind: _Kind, options: argparse.Namespace) -> None:
    """Refuse settings that another kind of node has.

    Raises:
        ConfigError: one is given.
    """
    foreign = [name for name in _SETTINGS if name not in kind.settings and getattr(options, name)]
    if options.plot and not kind.drawn:
        foreign.append("plot")
    if foreign:
        own = " and ".join(f"--{name}" for name in kind.settings)
        raise ConfigError(
            f"{options.recipe}: {options.node} is {kind.name}; "
            + (f"give {own}, not --{foreign[0]}" if own else f"leave --{foreign[0]} out")
        )


def _sweep_votes(one: Entrant, node: Ballot, options: argparse.Namespace) -> None:
    """Print J&F of every threshold, or of every subset of the members; draw the thresholds."""
    if options.plot and options.members:
        raise ConfigError(
            f"{options.plot}: a plot shows the thresholds of one set of members; drop --members or --plot"
        )
    rows = sweep_node(
        one.results,
        one.dataset,
        one.videos,
        node,
        thresholds=options.thresholds,
        subsets=options.members,
        jobs=options.jobs,
    )
    if options.members:
        rows.sort(key=lambda row: -row.j_and_f)
    _print_votes(node.name, rows, read_form(options))
    if options.plot:
        plot_sweep(node.name, rows, options.plot)


def _sweep_gate(one: Entrant, gate: Gate, options: argparse.Namespace) -> None:
    """Print the scores of every threshold; draw them where a picture is asked for."""
    rows = sweep_gate(read_answers(one.results, one.dataset, one.videos, gate), gate)
    _print_gate(gate.name, rows, read_form(options))
    if options.plot:
        plot_gate(gate.name, rows, options.plot)


def _sweep_refinement(one: Entrant, node: Refiner, options: argparse.Namespace) -> None:
    """Print J&F of every window and threshold; draw them where a picture is asked for."""
    windows, taus = options.window or _WINDOWS, options.tau or _TAUS
    rows = sweep_refinement(one.results, one.dataset, one.videos, node, windows=windows, taus=taus, jobs=options.jobs)
    headings = ("window", "tau", "J", "F", "J&F")
    if not _print_whole(node.name, rows, headings, read_form(options)):
        best = max(rows[1:], key=lambda row: row.j_and_f)
        print(f"  {'window':>6} {'tau':>5}  {'J':>6} {'F':>6} {'J&F':>6}")
        for row in rows:
            place = "coarse".rjust(12) if row.tau is None else f"{row.window:>6} {row.tau:>5g}"
            print(f"{'*' if row is best else ' '} {place}  {row.j:>6.2f} {row.f:>6.2f} {row.j_and_f:>6.2f}")
    if options.plot:
        plot_grid(node.name, rows, options.plot)


def _sweep_clean_up(one: Entrant, node: Cleaner, options: argparse.Namespace) -> None:
    """Print J&F of all sizes of islands and holes, with the gain over the masks as they are."""
    islands, holes = options.islands or _ISLANDS, options.holes or _HOLES
    wrong = [size for size in (*islands, *holes) if not 0 <= size <= 1]
    if wrong:
        raise ConfigError(f"--islands and --holes are parts of a mask; give 0 to 1, not {wrong[0]:g}")
    rows = sweep_clean_up(one.results, one.dataset, one.videos, node, islands=islands, holes=holes, jobs=options.jobs)
    headings = ("islands", "holes", "J", "F", "J&F", "gain", "low", "high")
    if _print_whole(node.name, rows, headings, read_form(options)):
        return
    best = max(rows, key=lambda row: row.j_and_f)
    print(f"  {'islands':>7} {'holes':>6}  {'J':>6} {'F':>6} {'J&F':>6}  {'gain':>6}  95 % interval")
    for row in rows:
        print(
            f"{'*' if row is best else ' '} {row.islands:>7g} {row.holes:>6g}  {row.j:>6.2f} {row.f:>6.2f} "
            f"{row.j_and_f:>6.2f}  {row.gain:>+6.2f}  [{row.low:+.2f}, {row.high:+.2f}]"
        )


def _print_whole(
    node: str, rows: Sequence[SweepRow | RefinementRow | CleanUpRow | GateRow], headings: Sequence[str], form: Form
) -> bool:
    """Print all settings for another program; return whether that was asked for.

    Args:
        headings: of the fields of the rows, in their order.
    """
    if form == "text":
        return False
    if form == "json":
        json.dump({"node": node, "settings": [asdict(row) for row in rows]}, sys.stdout, indent=1)
        print()
        return True
    write = write_csv if form == "csv" else write_markdown
    cells = [[" ".join(value) if isinstance(value, tuple) else value for value in astuple(row)] for row in rows]
    print(write(headings, cells), end="")
    return True


def _print_gate(node: str, rows: Sequence[GateRow], form: Form) -> None:
    if _print_whole(node, rows, ("threshold", "N-acc", "T-acc", "J&F", "Final"), form):
        return
    best = max(rows, key=lambda row: row.final)
    step = max(1, len(rows) // _SHOWN)
    print(f"  {'threshold':>10}  {'N-acc':>6} {'T-acc':>6} {'J&F':>6} {'Final':>6}")
    for row in rows:
        if row is best or rows.index(row) % step == 0:
            mark = "*" if row is best else " "
            print(
                f"{mark} {row.threshold:>10.4f}  {row.n_accuracy:>6.2f} {row.t_accuracy:>6.2f} {row.j_and_f:>6.2f} "
                f"{row.final:>6.2f}"
            )


def _print_votes(node: str, rows: Sequence[SweepRow], form: Form) -> None:
    if _print_whole(node, rows, ("members", "threshold", "J", "F", "J&F"), form):
        return
    best = max(rows, key=lambda row: row.j_and_f)
    print(f"  {'threshold':>10}  {'J':>6} {'F':>6} {'J&F':>6}  members")
    for row in rows[:_SHOWN]:
        mark = "*" if row is best else " "
        print(f"{mark} {row.threshold:>10}  {row.j:>6.2f} {row.f:>6.2f} {row.j_and_f:>6.2f}  {', '.join(row.members)}")
    if len(rows) > _SHOWN:
        print(f"  {len(rows) - _SHOWN} more; --json, --csv and --markdown print all")


_KINDS = (
    _Kind("a refinement", ("window", "tau"), True, Results.find_refiner, _sweep_refinement),
    _Kind("a clean-up", ("islands", "holes"), False, Results.find_cleaner, _sweep_clean_up),
    _Kind("a gate", (), True, Results.find_gate, _sweep_gate),
    # The last one raises where there is no such node, or none that can be swept.
    _Kind("a fusion by votes", ("thresholds", "members"), True, Results.find_ballot, _sweep_votes),
)
_SETTINGS = tuple(name for kind in _KINDS for name in kind.settings)
