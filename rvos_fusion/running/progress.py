"""What a run shows while it works: one bar that names what is running, and one line for every finished node."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import NoReturn

from tqdm import tqdm

from rvos.settings import count
from rvos_fusion.executors.driver import Watcher
from rvos_fusion.kinds.base import Task
from rvos_fusion.planning.plan import Plan
from rvos_fusion.planning.tasks import Outcome
from rvos_fusion.planning.timings import count_work, read_speeds

_SHOWN = 48
# No rate and no time left of tqdm's own: nodes differ a hundredfold in cost, and stored results cost nothing.
_FORM = "{percentage:3.0f}%|{bar:10}| {n_fmt}/{total_fmt} results, {elapsed}{postfix}: {desc}"


class Progress(Watcher):
    """Lines and a bar on standard error, nothing of them where `quiet`; there is no bar in a log file."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._running: list[Sequence[Task]] = []
        self._settled: dict[str, Counter[str]] = defaultdict(Counter)

    def begin(self, plan: Plan) -> None:
        self._what = {node.name: node.describe() for node in plan.nodes}
        self._nodes_left = dict.fromkeys((video.id for video in plan.videos), len(plan.nodes))
        self._n_videos = len(plan.videos)
        self._work = WorkLeft(plan, read_speeds(plan.recipe.workspace))
        hidden = True if self._quiet else None
        total = len(plan.nodes) * len(plan.videos)
        self._bar = choose_bar()(total=total, disable=hidden, leave=False, file=sys.stderr, bar_format=_FORM)

    def start(self, tasks: Sequence[Task]) -> None:
        self._running.append(tasks)
        self._show()

    def stop(self, tasks: Sequence[Task]) -> None:
        if tasks in self._running:
            self._running.remove(tasks)

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._work.settle(outcome)
            self._nodes_left[outcome.video] -= 1
            if not self._nodes_left[outcome.video]:
                del self._nodes_left[outcome.video]
            own = self._settled[outcome.node]
            own[outcome.status] += 1
            if outcome.message and outcome.status == "done":
                self._print(f"note: {outcome.message}")
            if own.total() == self._n_videos:
                counts = ", ".join(f"{count} {status}" for status, count in sorted(own.items()))
                self._print(f"{outcome.node}: {self._what[outcome.node]}; {counts}")
        self._bar.update(len(outcomes))

    def close(self) -> None:
        self._bar.close()

    def _show(self) -> None:
        if self._bar.disable:
            return
        names = [f"{' + '.join(task.node.name for task in tasks)} {tasks[0].video.id}" for tasks in self._running]
        text = ", ".join(names)
        seconds = self._work.estimate(len(self._running))
        parts = [
            f"{self._n_videos - len(self._nodes_left)}/{count(self._n_videos, 'video')}",
            *([f"{count(len(self._running), 'worker')}"] if len(self._running) > 1 else []),
            *([f"up to {tqdm.format_interval(seconds)} left"] if seconds is not None else []),
        ]
        self._bar.set_postfix_str(", ".join(parts), refresh=False)
        self._bar.set_description_str(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")

    def _print(self, line: str) -> None:
        if not self._quiet:
            tqdm.write(line, file=sys.stderr)


def choose_bar() -> type[tqdm[NoReturn]]:
    """Return the bar of terminals, or in a notebook that can show one, that of notebooks."""
    shell = sys.modules.get("IPython")
    session = shell.get_ipython() if shell is not None else None
    if session is None or "IPKernelApp" not in session.config or find_spec("ipywidgets") is None:
        return tqdm
    from tqdm.notebook import tqdm_notebook

    return tqdm_notebook


class WorkLeft:
    """How much work is left, and how long it takes by the times that were measured.

    `speeds` are the seconds per expression-frame of nodes that ran before; those that run now replace them.
    """

    def __init__(self, plan: Plan, speeds: Mapping[str, float]) -> None:
        self._of_video = {video.id: count_work(video) for video in plan.videos}
        self._left = {node.name: sum(self._of_video.values()) for node in plan.nodes}
        self._speeds = dict(speeds)
        self._measured: dict[str, tuple[int, float]] = {}

    def settle(self, outcome: Outcome) -> None:
        """Count a task as settled, and its time where it was computed."""
        work = self._of_video[outcome.video]
        self._left[outcome.node] -= work
        if outcome.status == "done" and work:
            before, seconds = self._measured.get(outcome.node, (0, 0.0))
            self._measured[outcome.node] = (before + work, seconds + outcome.seconds)
            self._speeds[outcome.node] = (seconds + outcome.seconds) / (before + work)

    def estimate(self, n_workers: int) -> float | None:
        """Return the seconds that are left at most, as some results may be stored; None: a node was never measured."""
        nodes = [node for node, work in self._left.items() if work]
        if n_workers < 1 or any(node not in self._speeds for node in nodes):
            return None
        return sum(self._left[node] * self._speeds[node] for node in nodes) / n_workers
