"""Runs the tasks of a plan on any executor: gives out passes, settles what ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from rvos.errors import StoreError
from rvos_fusion.executors.base import Ended, Executor, Pass, WorkersLostError
from rvos_fusion.executors.schedule import Schedule
from rvos_fusion.executors.summary import Tally
from rvos_fusion.kinds.base import Task
from rvos_fusion.planning.plan import Plan
from rvos_fusion.planning.tasks import Outcome, find_stored


class Watcher(Protocol):
    """Is told what happens, to show it; one that is derived from it leaves out what does not concern it."""

    def begin(self, plan: Plan) -> None:
        """The run begins."""

    def start(self, tasks: Pass) -> None:
        """A worker takes a pass."""
        return

    def stop(self, tasks: Pass) -> None:
        """A pass ended or lost its worker."""
        return

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """These tasks are settled: done, reused, failed or blocked."""

    def close(self) -> None:
        """The run ended, perhaps by an error."""


def run_plan(plan: Plan, *, executor: Executor, watchers: Sequence[Watcher] = ()) -> Tally:
    """Run all tasks and count what became of them; a failed video only blocks what depends on it.

    Raises a StoreError where results cannot be written, a WorkersLostError where no worker is left.
    """
    schedule = Schedule(plan)
    # Outcomes are counted and let go: a list of them would grow with every task.
    tally = Tally()
    for watcher in watchers:
        watcher.begin(plan)
    try:
        # Left by an error too, so that no worker goes on for a client that is gone.
        with executor:
            while not schedule.is_finished:
                _give_out(schedule, executor, watchers)
                # What one pass frees is given out before the next is waited for: no worker idles behind a barrier.
                for ended in _wait(schedule, executor):
                    settled = _settle(schedule, ended, executor.attempts)
                    tally.settle(settled)
                    for watcher in watchers:
                        watcher.stop(ended.tasks)
                        watcher.settle(settled)
    finally:
        for watcher in watchers:
            watcher.close()
    return tally


def _give_out(schedule: Schedule, executor: Executor, watchers: Sequence[Watcher]) -> None:
    # Workers are asked one by one, since each choice changes what others hold.
    for worker in executor.idle():
        tasks = schedule.take(worker, executor.workers())
        if tasks is not None:
            for watcher in watchers:
                watcher.start(tasks)
            executor.start(worker, tasks)


def _wait(schedule: Schedule, executor: Executor) -> Sequence[Ended]:
    """Return what ended; where no worker is left, passes that cost workers are all that may be given up."""
    try:
        return executor.wait()
    except WorkersLostError:
        suspects = schedule.give_up()
        if not suspects:
            raise
        return [Ended(tasks, [_fail(task, "its workers were killed, and no other is left") for task in tasks])
                for tasks in suspects]  # fmt: skip


def _settle(schedule: Schedule, ended: Ended, attempts: int) -> list[Outcome]:
    """Return the outcomes that are known now: none where a pass is tried again."""
    outcomes = ended.outcomes
    if outcomes is None:
        # The worker may have been lost after it had stored its results.
        stored = [find_stored(task)[0] for task in ended.tasks]
        may_retry = None in stored and schedule.put_back(ended.tasks, is_blamed=ended.is_blamed, attempts=attempts)
        if may_retry:
            return []
        outcomes = [found or _fail(task, ended.reason) for task, found in zip(ended.tasks, stored, strict=True)]
    for outcome in outcomes:
        # Each further result would be computed in vain.
        if outcome.status == "unwritable":
            raise StoreError(f"{outcome.message}; finished results are kept, run the same command again")
    return schedule.finish(outcomes)


def _fail(task: Task, reason: str) -> Outcome:
    message = f"{task.video.id}: {reason}"
    return Outcome(task.node.name, task.video.id, "failed", message=message, is_input_error=False)
