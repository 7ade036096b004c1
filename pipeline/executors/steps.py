"""Runs the tasks of a plan: step after step, all videos of a step side by side.

A step is one node, or the nodes that share what a worker loads and can run at the same time, such as the propagations
by one engine: these go over a video together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

import cv2
import joblib

from pipeline.kinds.base import Node, Task, WorkerKey
from pipeline.plan import Plan
from pipeline.tasks import Outcome, run_together
from rvos.errors import ConfigError, StoreError

Step = tuple[Node, ...]
Watch = Callable[[Step, Iterator[Outcome], int], Iterator[Outcome]]


@dataclass(frozen=True, slots=True)
class Workers:
    """Where tasks run.

    Args:
        jobs: processes on this machine; 1 computes in this process.
        cluster: address of a dask scheduler, or None.
        device: of networks.
    """

    jobs: int = 1
    cluster: str | None = None
    device: str = "auto"


def run_plan(plan: Plan, *, workers: Workers, watch: Watch) -> list[Outcome]:
    """Run all tasks and return what became of each; a failed video only blocks what depends on it.

    Args:
        watch: passes on the outcomes of a step as they come, for a progress bar.

    Raises:
        StoreError: results cannot be written, such as on a full disk.
    """
    outcomes: list[Outcome] = []
    lost: set[tuple[str, str]] = set()
    with _open_backend(workers):
        for step in list_steps(plan.nodes):
            ready, blocked = _split([task for node in step for task in plan.tasks[node.name]], lost)
            arriving = _run_step(ready, workers)
            for outcome in watch(step, arriving, len(ready)):
                if outcome.status == "unwritable":
                    raise StoreError(f"{outcome.message}; finished results are kept, run the same command again")
                outcomes.append(outcome)
            outcomes += blocked
            lost |= {(o.node, o.video) for o in outcomes if o.status in ("failed", "blocked")}
    return outcomes


def list_steps(nodes: Sequence[Node]) -> list[Step]:
    """Return the nodes in the order in which they run, those that run together as one step.

    Nodes that share a load wait until nothing else can run, so that as many as possible go together.

    Args:
        nodes: in an order in which every node comes after its inputs.
    """
    waiting, steps = list(nodes), []
    while waiting:
        names = {node.name for node in waiting}
        ready = [node for node in waiting if not names.intersection(node.inputs())]
        single = [node for node in ready if _shared_key(node) is None][:1]
        step = tuple(single or [node for node in ready if _shared_key(node) == _shared_key(ready[0])])
        steps.append(step)
        waiting = [node for node in waiting if node not in step]
    return steps


def _shared_key(node: Node) -> WorkerKey | None:
    """Return what nodes have in common that run together; None for a node that runs alone."""
    key = node.worker_key()
    return key if key is not None and key.shares else None


def _split(tasks: Sequence[Task], lost: set[tuple[str, str]]) -> tuple[list[Task], list[Outcome]]:
    """Return the tasks that can run, and the outcomes of those whose inputs failed."""
    ready, blocked = [], []
    for task in tasks:
        missing = [name for name, _ in task.inputs if (name, task.video.id) in lost]
        if missing:
            message = f"{task.video.id}: needs {', '.join(missing)}"
            blocked.append(Outcome(task.node.name, task.video.id, "blocked", message=message))
        else:
            ready.append(task)
    return ready, blocked


def _run_step(tasks: Sequence[Task], workers: Workers) -> Iterator[Outcome]:
    """Yield the outcomes of a step; the tasks of one video run together."""
    videos: dict[str, list[Task]] = {}
    for task in tasks:
        videos.setdefault(task.video.id, []).append(task)
    if workers.jobs == 1 and workers.cluster is None:
        for of_video in videos.values():
            yield from run_together(of_video)
        return
    parallel = joblib.Parallel(n_jobs=workers.jobs, return_as="generator_unordered", batch_size=1)
    for outcomes in parallel(joblib.delayed(_run_beside_others)(of_video) for of_video in videos.values()):
        yield from outcomes


def _run_beside_others(tasks: Sequence[Task]) -> list[Outcome]:
    """Run tasks with one thread, as the processes beside them need the other cores; joblib sees to BLAS."""
    cv2.setNumThreads(1)
    return run_together(tasks)


@contextmanager
def _open_backend(workers: Workers) -> Iterator[None]:
    """Be in the context in which joblib runs tasks: this process, loky, or a dask cluster."""
    if workers.cluster is not None:
        with _connect(workers.cluster) as client, joblib.parallel_config(backend="dask", client=client):
            yield
    elif workers.jobs > 1:
        with joblib.parallel_config(backend="loky", inner_max_num_threads=1):
            yield
    else:
        yield


def _connect(address: str) -> AbstractContextManager[object]:
    """Return a client of a dask scheduler.

    Raises:
        ConfigError: dask is not installed, or nothing answers.
    """
    try:
        from distributed import Client
    except ImportError:
        raise ConfigError("--cluster needs dask; install the extra with pip install 'rvos-fusion[cluster]'") from None
    try:
        client: AbstractContextManager[object] = Client(address, timeout=20)
    except (OSError, TimeoutError, ValueError) as error:
        raise ConfigError(f"--cluster {address}: no scheduler answers ({error}); check the address") from None
    return client
