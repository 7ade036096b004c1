"""`rvos sweep RECIPE NODE`: what other thresholds, members, windows or sizes of a node would score."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path
from typing import Any

from rvos.errors import ConfigError
from rvos.settings import nearest
from rvos_fusion.commands.entrants import open_one
from rvos_fusion.commands.recipe_options import add_recipe_options
from rvos_fusion.commands.table_forms import add_forms, read_form
from rvos_fusion.kinds.base import capability
from rvos_fusion.scores.clean_up_sweeping import Cleaner, CleanUpRow, sweep_clean_up
from rvos_fusion.scores.comparison import Entrant
from rvos_fusion.scores.gating import Gate, GateRow, read_answers, sweep_gate
from rvos_fusion.scores.refinement_sweeping import RefinementRow, Refiner, sweep_refinement
from rvos_fusion.scores.sweep_plot import plot_gate, plot_grid, plot_sweep
from rvos_fusion.scores.sweeping import Ballot, SweepRow, find_ballot, sweep_node
from rvos_fusion.tables import PEOPLE, PROGRAMS, Column, Table, print_tables

_SHOWN = 20
_WINDOWS = (5, 10, 15, 20)
_TAUS = (0.6, 0.7, 0.8, 0.9)
_ISLANDS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
_HOLES = (0.0, 0.02, 0.1, 0.5)
_SCORES = (Column("J", "j"), Column("F", "f"), Column("J&F", "j_and_f"))
_VOTES = (Column("threshold", "threshold"), *_SCORES, Column("members", "members", folds=True))
_CHANCES = (
    Column("threshold", "threshold", ".4f"),
    Column("N-acc", "n_accuracy"),
    Column("T-acc", "t_accuracy"),
    Column("J&F", "j_and_f"),
    Column("Final", "final"),
)
_GRID = (
    Column("window", "window", forms=PROGRAMS),
    Column("window", lambda row: "coarse" if row.window is None else row.window, forms=PEOPLE),
    Column("tau", "tau", "g"),
    *_SCORES,
)
_SIZES = (
    Column("islands", "islands", "g"),
    Column("holes", "holes", "g"),
    *_SCORES,
    Column("gain", "gain", "+.2f"),
    Column("low", "low", forms=PROGRAMS),
    Column("high", "high", forms=PROGRAMS),
    Column("95 % interval", lambda row: f"[{row.low:+.2f}, {row.high:+.2f}]", forms=PEOPLE),
)


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
    nodes = {node.name: node for node in one.results.plan.nodes}
    for kind in _KINDS:
        node = kind.find(nodes.get(options.node))
        if node is not None:
            _check_options(kind, options)
            kind.sweep(one, node, options)
            return 0
    ballots = [name for name, node in nodes.items() if find_ballot(node) is not None]
    raise ConfigError(f"{options.recipe}: no fusion {options.node!r} by votes; {nearest(options.node, ballots)}")


@dataclass(frozen=True, slots=True)
class _Kind:
    """One kind of node that can be swept.

    Args:
        name: with its article.
        settings: the options that say what is tried.
        drawn: whether `--plot` draws it.
        find: returns a node as one of the kind; None where it is of another.
        sweep: tries all settings and prints them.
    """

    name: str
    settings: tuple[str, ...]
    drawn: bool
    find: Callable[[object], Any]
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
    best = max(rows, key=attrgetter("j_and_f"))
    _print(options, node.name, _VOTES, rows, best=best, shown=range(min(len(rows), _SHOWN)))
    if options.plot:
        plot_sweep(node.name, rows, options.plot)


def _sweep_gate(one: Entrant, gate: Gate, options: argparse.Namespace) -> None:
    """Print the scores of every threshold; draw them where a picture is asked for."""
    rows = sweep_gate(read_answers(one.results, one.dataset, one.videos, gate), gate)
    best = max(range(len(rows)), key=lambda place: rows[place].final)
    shown = sorted({best, *range(0, len(rows), max(1, len(rows) // _SHOWN))})
    _print(options, gate.name, _CHANCES, rows, best=rows[best], shown=shown)
    if options.plot:
        plot_gate(gate.name, rows, options.plot)


def _sweep_refinement(one: Entrant, node: Refiner, options: argparse.Namespace) -> None:
    """Print J&F of every window and threshold; draw them where a picture is asked for."""
    windows, taus = options.window or _WINDOWS, options.tau or _TAUS
    rows = sweep_refinement(one.results, one.dataset, one.videos, node, windows=windows, taus=taus, jobs=options.jobs)
    _print(options, node.name, _GRID, rows, best=max(rows[1:], key=attrgetter("j_and_f")))
    if options.plot:
        plot_grid(node.name, rows, options.plot)


def _sweep_clean_up(one: Entrant, node: Cleaner, options: argparse.Namespace) -> None:
    """Print J&F of all sizes of islands and holes, with the gain over the masks as they are."""
    islands, holes = options.islands or _ISLANDS, options.holes or _HOLES
    wrong = [size for size in (*islands, *holes) if not 0 <= size <= 1]
    if wrong:
        raise ConfigError(f"--islands and --holes are parts of a mask; give 0 to 1, not {wrong[0]:g}")
    rows = sweep_clean_up(one.results, one.dataset, one.videos, node, islands=islands, holes=holes, jobs=options.jobs)
    _print(options, node.name, _SIZES, rows, best=max(rows, key=attrgetter("j_and_f")))


def _print(
    options: argparse.Namespace,
    node: str,
    columns: tuple[Column, ...],
    rows: Sequence[SweepRow | RefinementRow | CleanUpRow | GateRow],
    *,
    best: object,
    shown: Sequence[int] | None = None,
) -> None:
    """Print the settings, the best one marked.

    Args:
        shown: places of those that text shows; None: all.
    """
    form = read_form(options)
    notes: tuple[str, ...] = ()
    if form == "text" and shown is not None and len(shown) < len(rows):
        notes = (f"{len(rows) - len(shown)} more; --json, --csv and --markdown print all",)
        rows = [rows[place] for place in shown]
    mark = Column("", lambda row: "*" if row is best else "", forms=("text",))
    print_tables([Table((mark, *columns), rows, notes=notes, name="settings")], form, {"node": node})


_KINDS = (
    _Kind("a refinement", ("window", "tau"), True, lambda node: capability(node, Refiner), _sweep_refinement),
    _Kind("a clean-up", ("islands", "holes"), False, lambda node: capability(node, Cleaner), _sweep_clean_up),
    _Kind("a gate", (), True, lambda node: capability(node, Gate), _sweep_gate),
    _Kind("a fusion by votes", ("thresholds", "members"), True, find_ballot, _sweep_votes),
)
_SETTINGS = tuple(name for kind in _KINDS for name in kind.settings)
