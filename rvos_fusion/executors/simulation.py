"""How long a run would take with so many workers: the same schedule and driver, with a clock that is only counted."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rvos_fusion.executors.base import Ended, Executor, Pass, Worker, WorkersLostError
from rvos_fusion.executors.driver import run_plan
from rvos_fusion.kinds.base import Task, WorkerKey
from rvos_fusion.planning.plan import Plan
from rvos_fusion.planning.tasks import Outcome


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a number of workers would do.

    Args:
        seconds: until the last task is done.
        busy: seconds of computation of all workers together, without loading.
        loads: networks loaded, by all workers together.
    """

    workers: int
    seconds: float
    busy: float
    loads: int

    @property
    def efficiency(self) -> float:
        """Share of the workers' time that is computation, in [0, 1]."""
        return self.busy / (self.workers * self.seconds) if self.seconds else 1.0


class _Counted(Executor):
    """Workers that compute nothing: each pass ends when its seconds are over."""

    attempts = 1

    def __init__(self, n_workers: int, cost: Callable[[Task], float], load: float) -> None:
        self.clock = self.busy = 0.0
        self.loads = 0
        self._cost = cost
        self._load = load
        self._workers = [Worker(str(number)) for number in range(n_workers)]
        self._loaded: dict[str, WorkerKey | None] = {}
        self._idle = {worker.name: worker for worker in self._workers}
        self._running: list[tuple[float, int, Worker, Pass]] = []
        self._number = 0

    def workers(self) -> Sequence[Worker]:
        return self._workers

    def idle(self) -> Sequence[Worker]:
        return tuple(self._idle.values())

    def start(self, worker: Worker, tasks: Pass) -> None:
        seconds = sum(self._cost(task) for task in tasks)
        self.busy += seconds
        # What the schedule says a worker holds may never have been loaded, if all results were there.
        if worker.holds != self._loaded.get(worker.name) and seconds > 0:  # a stored result needs no network
            self._loaded[worker.name] = worker.holds
            self.loads += 1
            seconds += self._load
        self._number += 1  # passes that end at the same time end in the order in which they began
        heapq.heappush(self._running, (self.clock + seconds, self._number, worker, tasks))
        del self._idle[worker.name]

    def wait(self) -> Sequence[Ended]:
        if not self._running:
            raise WorkersLostError("nothing to wait for")
        self.clock, _, worker, tasks = heapq.heappop(self._running)
        self._idle[worker.name] = worker
        return (Ended(tasks, [Outcome(task.node.name, task.video.id, "done") for task in tasks]),)


def simulate(plan: Plan, n_workers: int, *, cost: Callable[[Task], float], load: float = 0.0) -> Estimate:
    """Return what a number of equal workers would need for all tasks of a plan.

    `cost` gives the seconds of a task, 0 where its result is there; `load` is the seconds to load a network.
    """
    executor = _Counted(n_workers, cost, load)
    run_plan(plan, executor=executor)
    return Estimate(n_workers, executor.clock, executor.busy, executor.loads)
