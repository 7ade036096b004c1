"""Processes beside this one: each is a pool of one, so that a pass can go where its network is loaded.

Not joblib's pool: that one hands a task to any process, fails as a whole when one process is killed, and ends a process
whose memory has grown, as it must for a loaded network.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor
from concurrent.futures import wait as wait_for_any
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from multiprocessing import active_children, get_context, parent_process
from multiprocessing.connection import wait as wait_for_end
from types import ModuleType, TracebackType
from typing import cast

from rvos import endings
from rvos.endings import ended_by_signals
from rvos.outside_code import describe
from rvos_fusion.executors.base import Ended, Executor, Pass, Worker, WorkersLostError
from rvos_fusion.planning.tasks import Outcome, run_together

RunPass = Callable[[Pass], list[Outcome]]
KILLED = "a worker was killed, probably for memory: run again with fewer jobs"
_PATIENCE = 5.0
"""Seconds in which a process that was asked to end does so, unless it is deep in a library."""
# Libraries read these when they are loaded, so they must be set before the process starts.
_THREAD_LIMITS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
# Python's own process that removes the semaphores of a killed parent need not complain of having done so.
_ENVIRONMENT = dict.fromkeys(_THREAD_LIMITS, "1") | {"PYTHONWARNINGS": "ignore:resource_tracker:UserWarning"}


class Processes(Executor):
    """A fixed number of processes; one that is killed is not replaced, because memory was too small for so many."""

    # Here a second try would meet the same memory; on a cluster another machine may have more.
    attempts = 1

    def __init__(self, jobs: int, *, run: RunPass = run_together) -> None:
        self._jobs = jobs
        self._run = run
        self._pools: dict[str, ProcessPoolExecutor] = {}
        self._process_ids: dict[str, int] = {}
        self._workers: dict[str, Worker] = {}
        self._running: dict[Future[list[Outcome]], tuple[Worker, Pass]] = {}

    def __enter__(self) -> Processes:
        try:
            with _environment(_ENVIRONMENT), _without_main():
                for number in range(self._jobs):
                    # Not forked: a copy of a process with threads, or with a device in use, may hang.
                    pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"), initializer=_prepare_process)
                    self._pools[f"process {number + 1}"] = pool
                # Pools start their process with the first call: the limits of threads must still be set by then.
                begun = {name: pool.submit(os.getpid) for name, pool in self._pools.items()}
                for name, future in begun.items():
                    with suppress(BrokenProcessPool):  # killed while it started: the others have its memory
                        self._process_ids[name] = future.result()
                        self._workers[name] = Worker(name)
        except (OSError, RuntimeError) as error:  # no more files, processes or threads
            self.__exit__(None, None, None)
            raise WorkersLostError(
                f"--jobs {self._jobs}: so many processes cannot be started ({describe(error)}); give fewer jobs, or "
                "raise the limit (ulimit -n, ulimit -u)"
            ) from None
        except BaseException as error:
            self.__exit__(type(error), error, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the processes; what still runs after an error is cut off, its results would be made again anyway."""
        busy = {self._process_ids[worker.name] for worker, _ in self._running.values()}
        processes = {process.sentinel: process for process in active_children() if process.pid in busy}
        for process in processes.values():
            # A result that is being written appears whole or not at all, so nothing half done stays behind.
            process.terminate()
        waits_until = time.monotonic() + _PATIENCE
        while processes and (left := waits_until - time.monotonic()) > 0:
            for sentinel in wait_for_end(list(processes), left):
                del processes[cast(int, sentinel)]
        for process in processes.values():
            process.kill()
        for pool in self._pools.values():
            pool.shutdown(cancel_futures=True)

    def workers(self) -> Sequence[Worker]:
        return tuple(self._workers.values())

    def idle(self) -> Sequence[Worker]:
        busy = {worker.name for worker, _ in self._running.values()}
        return tuple(worker for worker in self._workers.values() if worker.name not in busy)

    def start(self, worker: Worker, tasks: Pass) -> None:
        try:
            future = self._pools[worker.name].submit(_run_in_process, self._run, tasks)
        except BrokenProcessPool as error:  # killed while it was idle
            future = Future()
            future.set_exception(error)
        self._running[future] = (worker, tasks)

    def wait(self) -> Sequence[Ended]:
        if not self._running:
            raise WorkersLostError(f"{KILLED}; finished results are kept")
        done, _ = wait_for_any(self._running, return_when=FIRST_COMPLETED)
        return [self._end(future) for future in done]

    def _end(self, future: Future[list[Outcome]]) -> Ended:
        worker, tasks = self._running.pop(future)
        try:
            return Ended(tasks, future.result())
        except BrokenProcessPool:
            # Not replaced: with one process less the others have the memory that was lacking.
            del self._workers[worker.name]
            return Ended(tasks, None, KILLED)
        except Exception as error:  # such as a module that the process cannot load
            return Ended(tasks, None, describe(error))


def _run_in_process(run: RunPass, tasks: Pass) -> list[Outcome]:
    """Run a pass in a worker; where that is asked to end, what the pass has started ends first."""
    try:
        with ended_by_signals():
            return run(tasks)
    except endings.Ended as ended:
        os._exit(ended.exit_status)


def _prepare_process() -> None:
    """Compute with one thread, as other processes need the other cores; live no longer than the parent."""
    import cv2

    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is interrupted too, and ends this process
    threading.Thread(target=_follow_parent, daemon=True).start()


def _follow_parent() -> None:
    """End this process when the parent is gone: nobody would take its results, and it holds memory of a device."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        # The pass ends what it has started; a main thread deep in a kernel never sees the signal.
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_PATIENCE)
        os.kill(os.getpid(), signal.SIGKILL)


@contextmanager
def _without_main() -> Iterator[None]:
    """Hide the caller's main module: a process that starts would run it again, or look for a file `<stdin>`."""
    main = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Set environment variables for a while; those that are set already are kept."""
    added = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            del os.environ[name]
