"""What a run shows while it works: one bar that names what is running, and one line for every finished node."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence

from tqdm import tqdm

from pipeline.kinds.base import Task
from pipeline.plan import Plan
from pipeline.tasks import Outcome

_SHOWN = 48


class Progress:
    """Lines and a bar on standard error; there is no bar in a log file.

    Args:
        quiet: show nothing.
    """

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._running: list[Sequence[Task]] = []
        self._left: Counter[str] = Counter()
        self._settled: dict[str, list[Outcome]] = {}

    def begin(self, plan: Plan) -> None:
        """Count the tasks of every node."""
        self._what = {node.name: node.describe() for node in plan.nodes}
        self._left = Counter({name: len(tasks) for name, tasks in plan.tasks.items()})
        total = self._left.total()
        hidden = True if self._quiet else None
        self._bar = tqdm(total=total, unit="result", disable=hidden, leave=False, file=sys.stderr)

    def start(self, tasks: Sequence[Task]) -> None:
        """Name a pass as running."""
        self._running.append(tasks)
        self._name_running()

    def stop(self, tasks: Sequence[Task]) -> None:
        """Name a pass as running no more."""
        if tasks in self._running:
            self._running.remove(tasks)
        self._name_running()

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Let the bar grow; print the notes of these results, and the nodes that they complete."""
        self._bar.update(len(outcomes))
        for outcome in outcomes:
            self._left[outcome.node] -= 1
            self._settled.setdefault(outcome.node, []).append(outcome)
            if outcome.message and outcome.status == "done":
                self._print(f"note: {outcome.message}")
            if self._left[outcome.node] == 0:
                self._print(f"{outcome.node}: {self._what[outcome.node]}; {_count(self._settled[outcome.node])}")

    def close(self) -> None:
        """Remove the bar."""
        self._bar.close()

    def _name_running(self) -> None:
        names = [f"{' + '.join(task.node.name for task in tasks)} {tasks[0].video.id}" for tasks in self._running]
        text = ", ".join(names)
        self._bar.set_description_str(text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "...")

    def _print(self, line: str) -> None:
        if not self._quiet:
            tqdm.write(line, file=sys.stderr)


def _count(outcomes: Sequence[Outcome]) -> str:
    """Return how many results a node has, of each status that occurs."""
    counts = Counter(outcome.status for outcome in outcomes)
    return ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
