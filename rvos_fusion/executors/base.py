"""What every executor is: workers that take one pass at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol

from rvos.errors import PipelineError
from rvos_fusion.kinds.base import Task, WorkerKey
from rvos_fusion.planning.tasks import Outcome

Pass = tuple[Task, ...]
"""Tasks of one video that a worker computes together: one, or the propagations by one engine."""


@dataclass(slots=True)
class Worker:
    """A process that computes; a restarted one has another name. Some workers of a cluster can load no networks."""

    name: str
    can_load: bool = True
    holds: WorkerKey | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A pass that a worker is no longer busy with.

    Args:
        outcomes: of its tasks; None: the worker was lost, and only the store knows what became of them.
        reason: why the worker was lost.
        is_blamed: the pass itself may have killed the worker, for example for memory.
    """

    tasks: Pass
    outcomes: Sequence[Outcome] | None
    reason: str = ""
    # A lost scheduler is no fault of the pass, and costs it none of its attempts.
    is_blamed: bool = True


class WorkersLostError(PipelineError):
    """No worker is left to go on with."""

    exit_status = 1


class Executor(Protocol):
    """Where passes run. It is opened before the first pass; leaving it with an error ends what still runs.

    `attempts` is how many workers a pass may cost before it counts as failed.
    """

    # A property of the place: on one machine a second try meets the same memory.
    attempts: int

    def __enter__(self) -> Executor:
        """Start or find the workers, where that is needed."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the workers go, where there are any to end."""
        return

    def workers(self) -> Sequence[Worker]:
        """Return all workers that live."""

    def idle(self) -> Sequence[Worker]:
        """Return the workers that could start a pass now."""

    def start(self, worker: Worker, tasks: Pass) -> None:
        """Give a pass to an idle worker."""

    def wait(self) -> Sequence[Ended]:
        """Return what ended, after some time nothing; new workers may have come in the meantime.

        Raises a WorkersLostError where nothing can end any more.
        """
