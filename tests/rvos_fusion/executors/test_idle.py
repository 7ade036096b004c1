"""No worker idles while a video has work ready, however uneven the videos and their tasks are."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from small_plans import make_plan

from rvos_fusion.executors.base import Ended, Pass, Worker
from rvos_fusion.executors.driver import run_plan
from rvos_fusion.kinds.base import Task
from rvos_fusion.planning.plan import Plan
from rvos_fusion.planning.tasks import Outcome
from rvos_fusion.running.progress import Progress


class Observed:
    """Workers whose passes end in a drawn order; whenever they wait, looks for work that nobody does."""

    attempts = 1

    def __init__(self, plan: Plan, n_workers: int, order: Sequence[int]) -> None:
        self._plan = plan
        self._workers = [Worker(str(number)) for number in range(n_workers)]
        self._order = list(order)
        self._running: dict[str, Pass] = {}
        self.begun: set[tuple[str, str]] = set()
        self._done: set[tuple[str, str]] = set()

    def __enter__(self) -> Observed:
        return self

    def __exit__(self, *error: object) -> None:
        return

    def workers(self) -> Sequence[Worker]:
        return self._workers

    def idle(self) -> Sequence[Worker]:
        return [worker for worker in self._workers if worker.name not in self._running]

    def start(self, worker: Worker, tasks: Pass) -> None:
        names = {(task.node.name, task.video.id) for task in tasks}
        assert not names & self.begun
        self.begun |= names
        self._running[worker.name] = tasks

    def wait(self) -> Sequence[Ended]:
        if self.idle():
            assert self._find_ready() == []
        names = sorted(self._running)
        tasks = self._running.pop(names[(self._order.pop() if self._order else 0) % len(names)])
        self._done |= {(task.node.name, task.video.id) for task in tasks}
        return [Ended(tasks, [Outcome(task.node.name, task.video.id, "done") for task in tasks])]

    def _find_ready(self) -> list[tuple[str, str]]:
        """Return what could run by its inputs alone; propagations by one engine may wait for each other."""
        waiting = [task for tasks in self._plan.tasks.values() for task in tasks if _name(task) not in self.begun]
        ready = [task for task in waiting if all((name, task.video.id) in self._done for name in task.node.inputs())]
        together = {"p": "q", "q": "p"}
        names = {_name(task) for task in ready}
        return [
            (node, video)
            for node, video in sorted(names)
            if node not in together or (together[node], video) in names | self.begun
        ]


def _name(task: Task) -> tuple[str, str]:
    return task.node.name, task.video.id


@settings(max_examples=40, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=6),
    n_workers=st.integers(1, 5),
    order=st.lists(st.integers(0, 4), max_size=40),
)
def test_no_worker_idles_while_a_video_has_work_ready(lengths: list[int], n_workers: int, order: list[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        plan = make_plan(Path(folder), {f"v{index}": length for index, length in enumerate(lengths)})
    executor = Observed(plan, n_workers, order)
    tally = run_plan(plan, executor=executor, watchers=(Progress(quiet=True),))
    assert [row.done for row in tally.rows(plan)] == [len(lengths)] * 6
    assert len(executor.begun) == 6 * len(lengths)
