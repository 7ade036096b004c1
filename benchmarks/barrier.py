"""The bundled demo in two processes, each video's tasks as soon as they can run, against a barrier after each node.

Both take the same executor and the same tasks; with the barrier a step is run for all videos before the next is begun.
A trace looks, whenever the client waits, for workers that idle beside work that could run; it does so by the recipe's
inputs alone, apart from the schedule. Wall times are those of this machine; so that other work on it does not count,
both orders are simulated too, with the times that the tasks took in the first run.

`python -m benchmarks.barrier [VIDEO ...]` prints the traces.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType

from benchmarks.harness import ROOT, Row, growth
from rvos_fusion.executors.base import Ended, Executor, Pass, Worker
from rvos_fusion.executors.driver import run_plan
from rvos_fusion.executors.processes import Processes
from rvos_fusion.executors.schedule import list_steps
from rvos_fusion.executors.simulation import simulate
from rvos_fusion.planning.plan import Plan, make_plan, select_videos
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.reader import read_recipe

N_JOBS = 2
_RECIPE = ROOT / "pipeline.yaml"
Name = tuple[str, str]
"""A node and a video."""


def run() -> Iterator[Row]:
    """Yield the wall times of both orders, measured and simulated, and the idle time beside ready work."""
    free, barrier = measure(())
    yield growth("demo, 2 jobs: wall time", free.wall, barrier.wall, 1.05, "s: free, barrier")
    yield growth("demo, 2 jobs: wall time, simulated", free.simulated, barrier.simulated, 1, "s: free, barrier")
    idle, behind = sum(free.idle_beside_work.values()), sum(barrier.idle_beside_work.values())
    # What the client itself takes between two looks, such as to look for stored results, counts as idle too.
    yield Row("demo, 2 jobs: idle beside ready work", idle, behind, idle / free.wall, "<= 0.02", "s; ratio: of wall")


@dataclass(slots=True)
class Trace:
    """What the workers of a run did, in seconds.

    Args:
        idle: by worker, with nothing that could run.
        idle_beside_work: by worker, while a task could run.
        took: by task, in the worker.
    """

    wall: float = 0.0
    simulated: float = 0.0
    idle: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    idle_beside_work: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    took: dict[Name, float] = field(default_factory=dict)


class Traced:
    """Passes everything on to another executor, and notes who idles and whether a task could run meanwhile."""

    def __init__(self, executor: Executor, plan: Plan, trace: Trace) -> None:
        self.attempts = executor.attempts
        self._executor = executor
        self._trace = trace
        self._steps = list_steps(plan.nodes)
        self._waiting = {(index, video.id) for index in range(len(self._steps)) for video in plan.videos}
        self._done: set[Name] = set()
        self._since = time.perf_counter()

    def __enter__(self) -> Traced:
        """The other one is open already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The other one stays open."""

    def workers(self) -> Sequence[Worker]:
        """Return all workers."""
        return self._executor.workers()

    def idle(self) -> Sequence[Worker]:
        """Return the workers without a pass."""
        return self._executor.idle()

    def start(self, worker: Worker, tasks: Pass) -> None:
        """Pass it on; these tasks wait no more."""
        self._charge(self._executor.idle(), self._can_run())
        index = next(index for index, step in enumerate(self._steps) if tasks[0].node in step)
        self._waiting.remove((index, tasks[0].video.id))
        self._executor.start(worker, tasks)

    def wait(self) -> Sequence[Ended]:
        """Wait, and charge the time to those who idled at its begin."""
        idle, can_run = self._executor.idle(), self._can_run()
        self._charge(idle, can_run)
        ended = self._executor.wait()
        self._charge(idle, can_run)
        for outcome in (outcome for one in ended for outcome in one.outcomes or ()):
            self._done.add((outcome.node, outcome.video))
            self._trace.took[outcome.node, outcome.video] = outcome.seconds
        return ended

    def _can_run(self) -> bool:
        """Tell whether a step of a video waits whose inputs are there."""
        return any(
            all((name, video) in self._done for node in self._steps[index] for name in node.inputs())
            for index, video in self._waiting
        )

    def _charge(self, idle: Sequence[Worker], can_run: bool) -> None:
        """Count the time since the last call as idle for these workers."""
        now = time.perf_counter()
        for worker in idle:
            (self._trace.idle_beside_work if can_run else self._trace.idle)[worker.name] += now - self._since
        self._since = now


def measure(videos: Sequence[str]) -> tuple[Trace, Trace]:
    """Run the demo without and with barriers, each in a workspace of its own; return the faster trace of each order.

    The orders take turns, and each goes first once: what else the machine does, and what it holds ready from an earlier
    run, favours none.

    Args:
        videos: ids; none: all.
    """
    free, barrier = [_trace(videos, False)], [_trace(videos, True)]
    barrier.append(_trace(videos, True))
    free.append(_trace(videos, False))
    best = min(free, key=_wall), min(barrier, key=_wall)
    for trace, is_split in zip(best, (False, True), strict=True):
        plan = _make_plan(Path(tempfile.gettempdir()) / "never written", videos)
        trace.simulated = sum(_simulate(part, best[0].took) for part in (_split(plan) if is_split else [plan]))
    return best


def _wall(trace: Trace) -> float:
    return trace.wall


def _trace(videos: Sequence[str], is_split: bool) -> Trace:
    """Run the demo once, with a barrier after each step or without."""
    trace = Trace()
    with tempfile.TemporaryDirectory() as folder:
        plan = _make_plan(Path(folder), videos)
        start = time.perf_counter()
        with Processes(N_JOBS) as processes:
            traced = Traced(processes, plan, trace)
            for part in _split(plan) if is_split else [plan]:
                run_plan(part, executor=traced)
        trace.wall = time.perf_counter() - start
    return trace


def _simulate(plan: Plan, took: Mapping[Name, float]) -> float:
    """Return the seconds of a run in which every task takes what it took."""
    return simulate(plan, N_JOBS, cost=lambda task: took[task.node.name, task.video.id]).seconds


def _make_plan(workspace: Path, names: Sequence[str]) -> Plan:
    recipe = read_recipe(_RECIPE, workspace=workspace)
    dataset = recipe.dataset.open()
    return make_plan(recipe, build_graph(recipe), select_videos(dataset, names=names))


def _split(plan: Plan) -> list[Plan]:
    """Return a plan for each step."""
    return [
        replace(plan, nodes=step, tasks={node.name: plan.tasks[node.name] for node in step})
        for step in list_steps(plan.nodes)
    ]


def main() -> None:
    """Print what the workers did in both orders."""
    for name, trace in zip(("free", "barrier"), measure(sys.argv[1:]), strict=True):
        print(f"{name}: {trace.wall:.1f} s, simulated {trace.simulated:.1f} s")
        for worker in sorted(trace.idle.keys() | trace.idle_beside_work.keys()):
            beside, idle = trace.idle_beside_work[worker], trace.idle[worker]
            print(f"  {worker}: idle {beside:.3f} s beside work that could run, {idle:.3f} s without any")


if __name__ == "__main__":
    main()
