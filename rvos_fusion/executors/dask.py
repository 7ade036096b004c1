"""The workers of a dask cluster. Dask moves passes and tells who lives; what runs where is decided by our schedule.

A pass is sent to one worker and to no other, and a worker has one pass at a time. So nothing ever runs in the client,
a network stays where it is loaded, scheduler and client hold no more than one small future a worker however many tasks
a run has, and a pass whose worker dies comes back to the schedule, which counts what it cost. Results are in the store:
nothing is lost with the memory of a worker or of the scheduler.
"""

from __future__ import annotations

import logging
import queue
import secrets
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from dask import config
from distributed import Client, Future, KilledWorker

from rvos.errors import ConfigError
from rvos_fusion.executors.base import Ended, Executor, Pass, Worker, WorkersLostError
from rvos_fusion.executors.cluster_checks import check_worker, expect
from rvos_fusion.executors.dask_scheduler import forget_keys
from rvos_fusion.planning.tasks import Outcome, run_together

_ATTEMPTS = 3
_ANSWER = 20.0
"""Seconds for a scheduler to answer and for a first worker to be there."""
_PATIENCE = 60.0
"""Seconds without any worker, or without the scheduler, after which a run ends: a supervisor starts them faster."""
_LOOK = 1.0
"""Seconds between two looks at who lives."""
_FETCH = 10.0
"""Seconds to fetch the outcomes of a pass; after that the store tells what became of it."""
_KEPT_MESSAGES = 10
_KILLED = f"its workers were killed {_ATTEMPTS} times, probably for memory: give each worker more"
_LOST_SCHEDULER = "--cluster {}: the scheduler is gone; finished results are kept, start it and run this again"


class SchedulerLostError(Exception):
    """The scheduler does not answer any more."""


def run_on_worker(tasks: Pass) -> list[Outcome]:
    """Compute a pass, on a worker; others beside it need the other cores."""
    import cv2

    cv2.setNumThreads(1)
    forget_keys()
    return run_together(tasks)


class Dask(Executor):
    """The workers of one scheduler, known by address or scheduler file, each with one pass at a time.

    A worker that declares resources takes networks only with a `GPU` among them; one that declares none takes all.
    Every worker must see the folders under the same path; the first is the workspace, where it writes.
    """

    attempts = _ATTEMPTS

    def __init__(
        self, address: str, folders: tuple[Path, ...], *, run: Callable[[Pass], list[Outcome]] = run_on_worker
    ) -> None:
        self._run = run
        self._address = address
        self._folders = folders
        self._workers: dict[str, Worker] = {}
        self._resources: dict[str, Mapping[str, float]] = {}
        self._refused: set[str] = set()
        self._running: dict[str, tuple[Future[list[Outcome]], Worker, Pass]] = {}
        self._done: queue.SimpleQueue[Future[list[Outcome]]] = queue.SimpleQueue()
        self._last_look = self._last_sign = time.monotonic()

    def __enter__(self) -> Dask:
        """Connect to the scheduler, wait for a worker, and check all that are there; ConfigError where that fails."""
        _silence_dask()
        try:
            self._client = self._connect(_ANSWER)
        except (OSError, ValueError, TypeError) as error:
            raise ConfigError(
                f"--cluster {self._address}: no scheduler answers ({_shorten(error)}); check the address"
            ) from None
        try:
            self._find_first_workers()
        except BaseException:
            self._close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take back what has not begun, and leave the cluster as it was."""
        for future, _, _ in self._running.values():
            future.cancel()
        self._close()

    def workers(self) -> Sequence[Worker]:
        return tuple(self._workers.values())

    def idle(self) -> Sequence[Worker]:
        busy = {worker.name for _, worker, _ in self._running.values()}
        return tuple(worker for name, worker in self._workers.items() if name not in busy)

    def start(self, worker: Worker, tasks: Pass) -> None:
        # A new key each time, because dask answers a known one from memory. Digits, and no id of a video: the scheduler
        # keeps statistics of whatever stands before the first word that is no name, for ever.
        key = f"rvos-{tasks[0].node.name}-{secrets.randbits(64)}"
        needed = "CPU" if tasks[0].node.worker_key() is None else "GPU"
        has_it = needed in self._resources[worker.name]
        future = self._client.submit(
            self._run,
            tasks,
            key=key,
            pure=False,
            workers=[worker.name],
            resources={needed: 1} if has_it else None,  # another client's passes wait for the same device
        )
        self._running[key] = (future, worker, tasks)
        future.add_done_callback(self._done.put)

    def wait(self) -> Sequence[Ended]:
        """Return the passes that ended or lost their worker; after a second nothing, as new workers may have come.

        Raises a WorkersLostError after a minute without worker or scheduler.
        """
        try:
            ended = [found for future in self._take_done() if (found := self._end(future)) is not None]
            if time.monotonic() - self._last_look > _LOOK:
                ended += self._look()
        except SchedulerLostError:
            return self._reconnect()
        if self._running or ended:
            self._last_sign = time.monotonic()
        elif time.monotonic() - self._last_sign > _PATIENCE:
            raise WorkersLostError(
                f"--cluster {self._address}: no worker is left that can go on; finished results are kept, "
                "start workers and run the same command again"
            )
        return ended

    def _connect(self, seconds: float) -> Client:
        place = {"scheduler_file": self._address} if Path(self._address).is_file() else {"address": self._address}
        # By default the last thousand messages are kept for debugging, each with the frames and sentences of a video.
        with config.set({"distributed.admin.low-level-log-length": _KEPT_MESSAGES}):
            return Client(**place, timeout=seconds, set_as_default=False)

    def _close(self) -> None:
        # On a busy machine it may take longer than it is given; that is no reason to hide why it is closed.
        with suppress(OSError, TimeoutError, RuntimeError):
            self._client.close(timeout=2)

    def _find_first_workers(self) -> None:
        end = time.monotonic() + _ANSWER
        while not (found := self._ask_who_lives()):
            if time.monotonic() > end:
                raise ConfigError(
                    f"--cluster {self._address}: no worker answers; start some with dask worker {self._address}"
                )
            time.sleep(_LOOK / 4)
        for name, problem in self._check(list(found)).items():
            if problem:
                raise ConfigError(f"--cluster {self._address}: worker {name} {problem}")
        self._add(found)

    def _take_done(self) -> list[Future[list[Outcome]]]:
        """Return the futures that are done, after a moment none."""
        try:
            done = [self._done.get(timeout=_LOOK)]
        except queue.Empty:
            return []
        while not self._done.empty():
            done.append(self._done.get())
        return done

    def _end(self, future: Future[list[Outcome]]) -> Ended | None:
        """Return what a future says; None where its worker was already counted as lost."""
        if future.key not in self._running:
            return None
        if future.status in ("cancelled", "lost"):  # dask gave it up together with the scheduler
            raise SchedulerLostError
        _, _, tasks = self._running.pop(future.key)
        try:
            return Ended(tasks, future.result(timeout=_FETCH))
        except (OSError, TimeoutError, KilledWorker):  # the worker died while it answered
            return Ended(tasks, None, _KILLED)
        except Exception as error:  # such as a library that this worker lacks
            return Ended(tasks, None, f"{type(error).__name__}: {_shorten(error)}")

    def _look(self) -> list[Ended]:
        """Return the passes whose worker is gone; take in the workers that came."""
        self._last_look = time.monotonic()
        alive = self._ask_who_lives()
        for name in self._workers.keys() - alive.keys():
            del self._workers[name]
        new = {name: found for name, found in alive.items() if name not in self._workers.keys() | self._refused}
        problems = self._check(list(new)) if new else {}
        for name, problem in problems.items():
            if problem:
                self._refused.add(name)
                print(f"note: worker {name} {problem}; it is left out", file=sys.stderr)
        self._add({name: found for name, found in new.items() if problems.get(name) == ""})
        lost = [key for key, (_, worker, _) in self._running.items() if worker.name not in self._workers]
        ended = []
        for future, _, tasks in map(self._running.pop, lost):
            future.cancel()
            ended.append(Ended(tasks, None, _KILLED))
        return ended

    def _ask_who_lives(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the resources and more of every worker, by address."""
        try:
            if self._client.status != "running":
                raise SchedulerLostError
            # Asked for here: `scheduler_info` may return what the client last heard, of five workers and a moment old.
            identity = self._client.sync(self._client.scheduler.identity, n_workers=-1)
            workers: Mapping[str, Mapping[str, Any]] = identity["workers"]
        except (OSError, TimeoutError, RuntimeError):
            raise SchedulerLostError from None
        return workers

    def _check(self, names: Sequence[str]) -> dict[str, str]:
        """Return what each worker lacks; one that is gone again is left out."""
        with expect(self._folders) as expected:
            try:
                answers: Mapping[str, object] = self._client.run(
                    check_worker, expected, workers=list(names), on_error="return"
                )
            except (OSError, TimeoutError, RuntimeError):
                raise SchedulerLostError from None
        found = {}
        for name, answer in answers.items():
            if isinstance(answer, ImportError):
                found[name] = f"has no rvos-fusion, or another version ({answer}); install the same one everywhere"
            elif not isinstance(answer, OSError):
                found[name] = str(answer)
        return found

    def _add(self, found: Mapping[str, Mapping[str, Any]]) -> None:
        for name, entry in found.items():
            resources = entry["resources"]
            self._resources[name] = resources
            self._workers[name] = Worker(name, can_load=not resources or "GPU" in resources)

    def _reconnect(self) -> list[Ended]:
        """Return all passes as lost, by no fault of theirs, once the scheduler is there again."""
        lost = [Ended(tasks, None, is_blamed=False) for _, _, tasks in self._running.values()]
        self._running.clear()
        self._workers.clear()
        self._close()
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            try:
                self._client = self._connect(_LOOK)
            except (OSError, TimeoutError):
                continue
            self._last_look, self._last_sign = 0.0, time.monotonic()
            return lost
        raise WorkersLostError(_LOST_SCHEDULER.format(self._address))


def _silence_dask() -> None:
    """Keep dask from printing tracebacks of what is handled here; its loggers have levels and handlers of their own."""
    for name in logging.root.manager.loggerDict:
        if name.split(".")[0] == "distributed":
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def _shorten(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
