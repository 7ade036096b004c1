"""Efficiency of many workers, simulated by the schedule and driver that a run has; no time is measured.

Assumptions, as no run on that many machines was made: the nodes of the default recipe; videos of 20 to 36 frames with 2
to 6 sentences, drawn evenly; 0.2 s for a member or a choice among tracklets, 1 s for a propagation or the tracking of
proposals, 0.01 s for a fusion or the proposals, for each frame and sentence; 30 s to load a network; equal workers that
never fail; a file system that costs nothing.

`python -m benchmarks.scaling PNG` draws the time and the cost over the number of workers, and prints them.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.harness import ROOT, Row
from rvos.videos import Expression, Video
from rvos_fusion.executors.simulation import Estimate, simulate
from rvos_fusion.kinds.base import Task
from rvos_fusion.planning.plan import NodeTasks, Plan
from rvos_fusion.planning.timings import count_work
from rvos_fusion.recipe.graph import build_graph
from rvos_fusion.recipe.reader import read_recipe

N_VIDEOS = (202, 507)
N_WORKERS = (1, 2, 4, 8, 16, 32, 64, 128, 256)
_SECONDS = {"member": 0.2, "propagate": 1.0, "fuse": 0.01, "propose": 0.01, "track": 1.0, "ground": 0.2}
_LOAD = 30.0
_RECIPE = ROOT / "pipeline.yaml"


def run() -> Iterator[Row]:
    """Yield a row for each number of videos."""
    for n_videos in N_VIDEOS:
        found = simulate(make_plan(n_videos), 64, cost=count_cost, load=_LOAD)
        name = f"{n_videos} videos, 64 workers, simulated: efficiency"
        yield Row(name, found.seconds / 3600, found.busy / 3600, found.efficiency, ">= 0.9", "h: 64, 1 worker")


def make_plan(n_videos: int) -> Plan:
    """Return the tasks of the default recipe for videos of random lengths; the same ones each time."""
    recipe = read_recipe(_RECIPE)
    nodes = build_graph(recipe).nodes
    numbers = random.Random(n_videos)
    videos = tuple(_draw_video(f"{index:05d}", numbers) for index in range(n_videos))
    fingerprints = {node.name: [b""] * n_videos for node in nodes}
    tasks = {node.name: NodeTasks(node, videos, fingerprints, recipe.workspace, "auto", {}) for node in nodes}
    return Plan(recipe, nodes, videos, tasks, ())


def count_cost(task: Task) -> float:
    """Return the assumed seconds of a task."""
    return _SECONDS[task.node.kind] * count_work(task.video)


def plot(curves: dict[int, list[Estimate]], out: Path) -> None:
    """Write a PNG with the time and the cost of each number of videos over the number of workers."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 3.4), dpi=110, layout="constrained")
    time, cost = figure.subplots(1, 2)
    for n_videos, found in curves.items():
        workers = [estimate.workers for estimate in found]
        hours = [estimate.seconds / 3600 for estimate in found]
        time.plot(workers, hours, marker="o", markersize=4, label=f"{n_videos} videos")
        worker_hours = [number * hour for number, hour in zip(workers, hours, strict=True)]
        cost.plot(workers, worker_hours, marker="o", markersize=4, label=f"{n_videos} videos")
    time.set(title="time", ylabel="hours", yscale="log")
    cost.set(title="cost", ylabel="worker hours", ylim=(0, None))
    for axes in (time, cost):
        axes.set_xscale("log", base=2)
        axes.set_xticks(N_WORKERS, [str(number) for number in N_WORKERS])
        axes.set_xlabel("workers")
        axes.grid(alpha=0.3)
        axes.legend()
    figure.savefig(out)


def _draw_video(id: str, numbers: random.Random) -> Video:
    frames = tuple(str(index) for index in range(numbers.randint(20, 36)))
    expressions = tuple(Expression(str(index), "") for index in range(numbers.randint(2, 6)))
    return Video(id, frames, expressions, tuple(Path(frame) for frame in frames))


def main() -> None:
    """Draw and print the curves."""
    curves = {
        n_videos: [simulate(make_plan(n_videos), number, cost=count_cost, load=_LOAD) for number in N_WORKERS]
        for n_videos in N_VIDEOS
    }
    for n_videos, found in curves.items():
        for estimate in found:
            hours = estimate.seconds / 3600
            print(
                f"{n_videos} videos {estimate.workers:>4} workers {hours:>7.2f} h {estimate.workers * hours:>7.1f} "
                f"worker hours, efficiency {estimate.efficiency:.3f}, {estimate.loads} loads"
            )
    plot(curves, Path(sys.argv[1]))


if __name__ == "__main__":
    main()
