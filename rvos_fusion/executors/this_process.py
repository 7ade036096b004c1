"""One pass after the other, here: networks have all cores, and errors their debugger."""

from __future__ import annotations

from collections.abc import Sequence

from rvos_fusion.executors.base import Ended, Executor, Pass, Worker, WorkersLostError
from rvos_fusion.planning.tasks import run_together


class ThisProcess(Executor):
    """The only worker is this process; it computes while it is waited for."""

    attempts = 1

    def __init__(self) -> None:
        self._worker = Worker("this process")
        self._given: Pass | None = None

    def workers(self) -> Sequence[Worker]:
        return (self._worker,)

    def idle(self) -> Sequence[Worker]:
        return (self._worker,) if self._given is None else ()

    def start(self, worker: Worker, tasks: Pass) -> None:
        self._given = tasks

    def wait(self) -> Sequence[Ended]:
        if self._given is None:
            raise WorkersLostError("nothing to wait for")
        # Idle again before it computes: an error must not leave the pass behind.
        tasks, self._given = self._given, None
        return (Ended(tasks, run_together(tasks)),)
