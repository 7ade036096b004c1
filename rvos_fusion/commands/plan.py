"""`rvos plan RECIPE`: the graph, what is there already, and what the rest will cost."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from rvos.errors import ConfigError
from rvos.masks.stored.store import Store
from rvos.settings import count
from rvos_fusion.commands.shared_options import add_recipe_options, open_recipe
from rvos_fusion.executors.simulation import Estimate, simulate
from rvos_fusion.executors.summary import format_seconds, format_size
from rvos_fusion.kinds.base import Node, Task, capability
from rvos_fusion.kinds.networks.judging import Questions
from rvos_fusion.planning.foresight import Expected, Foresight
from rvos_fusion.planning.plan import make_plan
from rvos_fusion.planning.results import Results
from rvos_fusion.planning.workspace import find_place
from rvos_fusion.recipe.graph import build_graph, choose_stage, find_missing_files
from rvos_fusion.running.load_checks import find_data_problems, find_load_problems
from rvos_fusion.tables import Column, Table, print_tables, read_form


@runtime_checkable
class Asks(Protocol):
    """A node that asks questions, which may cost something."""

    def count_questions(self, task: Task) -> Questions | None:
        """Return how many a video still needs; None where that depends on what is not there yet."""


@dataclass(frozen=True, slots=True)
class AskedFor:
    """Questions that are left, of all videos without a result.

    Args:
        unknown: videos of which nobody knows yet, as the candidates are not there.
    """

    least: int
    most: int
    unknown: int

    def describe(self) -> str:
        """Return it in words."""
        is_sure = self.most == self.least
        known = f"asks {count(self.least, 'question')}" if is_sure else f"asks {self.least} to {self.most} questions"
        more = f"; of {count(self.unknown, 'video')} more once the candidates are there" if self.unknown else ""
        return known + more


@dataclass(frozen=True, slots=True)
class PlannedNode:
    """A row of the plan.

    Args:
        cached: videos whose result is there and fits the settings.
        n_bytes: size of these.
        seconds: estimated for the rest, from earlier runs in this workspace or from `multiply_adds`; None: unknown.
        multiply_adds: G that are left, where the network never ran here and its size is known.
        asks: how many questions are left to ask of judges; None: it asks nothing.
        missing: what must be there, or be mended, before it can run.
    """

    node: str
    stage: str | None
    what: str
    inputs: tuple[str, ...]
    videos: int
    cached: int
    n_bytes: int
    seconds: float | None
    multiply_adds: float | None
    asks: AskedFor | None
    missing: tuple[str, ...]

    def describe_time(self) -> str:
        """Return in words how long the rest will take; what was never measured is marked."""
        if self.seconds is None:
            return "unknown"
        return f"{'' if self.multiply_adds is None else '~'}{format_seconds(self.seconds)}"

    def describe_asks(self) -> list[str]:
        """Return in words what is left to ask."""
        return [] if self.asks is None else [self.asks.describe()]


_SHOWN = 3
_GPU_RATE = 10_000.0
_GPUS = 8
_FOR_PROGRAMS = ("what", "inputs", "videos", "cached", "seconds", "multiply_adds", "asks", "missing")
_COLUMNS = (
    Column("node", "node"),
    Column("stage", "stage", forms=("json",)),
    Column("stage", lambda row: row.stage or "-", forms=("text",)),
    *(Column(name, name, forms=("json",)) for name in _FOR_PROGRAMS),
    Column("cached", lambda row: f"{row.cached}/{row.videos}" if row.videos else "-", forms=("text",)),
    Column("bytes", "n_bytes", forms=("json",), key="bytes"),
    Column("size", lambda row: format_size(row.n_bytes), forms=("text",)),
    Column("estimate", lambda row: row.describe_time(), forms=("text",)),
    Column(
        "what",
        lambda row: "\n".join([row.what, *row.describe_asks(), *(f"missing: {text}" for text in row.missing)]),
        forms=("text",),
        folds=True,
    ),
)
_ESTIMATES = (
    Column("workers", "workers"),
    Column("seconds", "seconds", ".0f"),
    Column("hours", lambda row: row.seconds / 3600, forms=("text",)),
    Column("busy", "busy", forms=("json",)),
    Column("worker hours", lambda row: row.workers * row.seconds / 3600, forms=("text",)),
    Column("efficiency", "efficiency"),
    Column("loads", "loads"),
)


def register(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        "examples:\n  rvos plan recipes/paper.yaml --set dataset.root=data/rvos\n"
        "  rvos plan recipes/paper.yaml --workers 8 16 32 --load-seconds 20"
    )
    add_recipe_options(parser, optional=True)
    parser.add_argument("--stage", metavar="N", help="only this stage, by number or name")
    parser.add_argument(
        "--workers", nargs="+", type=int, default=[], metavar="N",
        help="estimate the time with N workers, from the times of earlier runs in this workspace",
    )  # fmt: skip
    parser.add_argument(
        "--load-seconds", type=float, default=0.0, metavar="S", help="time to load a network, for --workers; default: 0"
    )
    parser.add_argument(
        "--gpu-rate", type=float, default=_GPU_RATE, metavar="G",
        help="G multiply-adds a second that networks reach on a GPU of yours, for nodes that never ran here; default: "
        f"{_GPU_RATE:.0f}, a guess",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(options: argparse.Namespace) -> int:
    """Print the plan; nothing is computed. 0, or 2 where a run would refuse."""
    if any(number < 1 for number in options.workers) or not 0 <= options.load_seconds < float("inf"):
        raise ConfigError("--workers: give 1 or more; --load-seconds: give 0 or more")
    if not 0 < options.gpu_rate < float("inf"):
        raise ConfigError(f"--gpu-rate {options.gpu_rate:g}; give more than 0")
    recipe = open_recipe(options)
    find_place(recipe.workspace)
    graph = build_graph(recipe, stage=choose_stage(recipe, options.stage))
    missing: dict[str, list[str]] = {}
    for node, file in find_missing_files(graph.nodes):
        missing.setdefault(node.name, []).append(f"{file.path}: {file.advice}")
    for warning in graph.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    results = None if missing else Results(make_plan(recipe, graph, recipe.dataset.open().videos))
    if results is not None:
        for node, problem in _find_problems(results):
            missing.setdefault(node.name, []).append(problem)
    foresight = Foresight(recipe.workspace)
    rows = [_describe(foresight, node, results, missing.get(node.name, [])) for node in graph.nodes]
    estimates = [] if results is None else _simulate(results, foresight, options)
    stored, own = Store(recipe.workspace).measure(), sum(row.n_bytes for row in rows)
    beside = f"stored: {format_size(own)} of this plan, {format_size(stored - own)} of others: rvos clean tells of what"
    loading = {node.name for node in graph.nodes if node.worker_key() is not None}
    notes = [] if missing else [_sum_up(rows, loading), *_explain_products(rows, foresight, options.gpu_rate)]
    notes += [beside] if stored > own else []
    tables = [Table(_COLUMNS, rows, notes=tuple(notes), name="nodes")]
    if options.workers and (estimates or options.json):
        tables.append(Table(_ESTIMATES, estimates, name="workers"))
    print_tables(tables, read_form(options), {"workspace": str(recipe.workspace), "stored": stored})
    if missing:
        name, (first, *_) = next(iter(missing.items()))
        print(f"rvos plan: {options.recipe}: cannot run yet: {name}: {first}", file=sys.stderr)
    return 2 if missing else 0


def _sum_up(rows: Sequence[PlannedNode], loading: Collection[str]) -> str:
    """Return in words how long all nodes will take on one process, as known; `loading` are the nodes with a network."""
    unknown = sorted((row.node for row in rows if row.seconds is None), key=lambda name: name not in loading)
    is_foreseen = any(row.multiply_adds is not None for row in rows)
    seconds = format_seconds(sum(row.seconds or 0.0 for row in rows))
    known = f"in all {'about ' if is_foreseen else ''}{seconds} on one process"
    if not unknown:
        return known
    shown = ", ".join(unknown[:_SHOWN]) + (", ..." if len(unknown) > _SHOWN else "")
    return f"{known}, and what {shown} will take: known once a video has run (rvos run --videos VIDEO)"


def _explain_products(rows: Sequence[PlannedNode], foresight: Foresight, gpu_rate: float) -> Iterator[str]:
    """Yield where times come from that were never measured, and what they would be on GPUs."""
    products = sum(row.multiply_adds or 0.0 for row in rows)
    if not products:
        return
    here = f"a large product makes {foresight.rate:.0f} G a second here, on all cores"
    number = f"{products / 1000:.1f} T" if products >= 1000 else f"{products:.1f} G"
    said = f"~ never ran here: {number} multiply-adds, where {here}"
    if products < gpu_rate:  # less than a second there
        yield said
        return
    gpu, gpus = (format_seconds(products / gpu_rate / number) for number in (1, _GPUS))
    yield f"{said}; at {gpu_rate:g} G a second of a GPU (--gpu-rate) {gpu}, of {_GPUS} {gpus}"


def _find_problems(results: Results) -> Iterator[tuple[Node, str]]:
    """Yield what a run would fail by, of the nodes that it would compute."""
    waiting = [node for node in results.plan.nodes if results.find_missing(node.name)]
    yield from find_load_problems(waiting)
    for node in waiting:
        yield from find_data_problems([node], results.plan.videos)


def _describe(foresight: Foresight, node: Node, results: Results | None, missing: list[str]) -> PlannedNode:
    videos = results.plan.videos if results is not None else ()
    left = set(results.find_missing(node.name)) if results is not None else set()
    waiting = [video for video in videos if video.id in left]
    expected = Expected(None) if results is None else foresight.expect(node, waiting)
    n_bytes = (
        0 if results is None else sum(results.of_video(one.id).size(node.name) for one in videos if one.id not in left)
    )
    cached = len(videos) - len(left)
    asks = None if results is None else _count_questions(node, results, left)
    return PlannedNode(
        node.name,
        node.stage,
        node.describe(),
        node.inputs(),
        len(videos),
        cached,
        n_bytes,
        expected.seconds,
        expected.multiply_adds,
        asks,
        tuple(missing),
    )


def _count_questions(node: Node, results: Results, left: Collection[str]) -> AskedFor | None:
    asking = capability(node, Asks)
    if asking is None:
        return None
    counted = [asking.count_questions(task) for task in results.plan.tasks[node.name] if task.video.id in left]
    known = [one for one in counted if one is not None]
    return AskedFor(sum(one.least for one in known), sum(one.most for one in known), len(counted) - len(known))


def _simulate(results: Results, foresight: Foresight, options: argparse.Namespace) -> list[Estimate]:
    """Return an estimate for each number of workers; what a node with work left takes must be known."""
    if not options.workers:
        return []
    plan = results.plan
    left = {node.name: set(results.find_missing(node.name)) for node in plan.nodes}
    seconds = {
        (node.name, video.id): foresight.expect(node, [video]).seconds
        for node in plan.nodes
        for video in plan.videos
        if video.id in left[node.name]
    }
    if unknown := dict.fromkeys(name for (name, _), one in seconds.items() if one is None):
        raise ConfigError(
            f"--workers: no times of {', '.join(unknown)} in {plan.recipe.workspace}; "
            "run a few videos first: rvos run RECIPE --videos VIDEO VIDEO"
        )

    def cost(task: Task) -> float:
        return seconds.get((task.node.name, task.video.id)) or 0.0

    return [simulate(plan, number, cost=cost, load=options.load_seconds) for number in options.workers]
