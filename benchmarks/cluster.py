"""Memory of the scheduler, a worker and the client of a cluster over many tasks that compute nothing.

The scheduler is started as docs/cluster.md says, and the tasks go through the executor and the driver of a run. They
are those of the default recipe, over as many videos as it takes. What is counted are tasks of dask, in which
propagations by one engine go together.

`python -m benchmarks.cluster 100000` prints the memory on the way to so many tasks.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.harness import ROOT, Row, growth
from benchmarks.scaling import make_plan
from rvos_fusion.executors.base import Pass
from rvos_fusion.executors.dask import Dask
from rvos_fusion.executors.dask_scheduler import forget_keys
from rvos_fusion.executors.driver import run_plan
from rvos_fusion.executors.schedule import Schedule
from rvos_fusion.planning.plan import Plan
from rvos_fusion.planning.tasks import Outcome

N_TASKS = 10_000
N_WORKERS = 4
_SHARES = (0.1, 0.25, 0.5, 1.0)
# What docs/cluster.md advises for a scheduler that is to stay small.
_SMALL = {
    "DASK_DISTRIBUTED__ADMIN__LOW_LEVEL_LOG_LENGTH": "10",
    "DASK_DISTRIBUTED__ADMIN__SYSTEM_MONITOR__LOG_LENGTH": "10",
    "DASK_DISTRIBUTED__WORKER__PROFILE__ENABLED": "False",
}
_SECONDS = 60.0


def run() -> Iterator[Row]:
    """Yield a row for each process: its memory after all tasks against that after a tenth of them."""
    found = measure(N_TASKS)
    for who in found[0].megabytes:
        first, last = found[0].megabytes[who], found[-1].megabytes[who]
        yield growth(f"{N_TASKS} tasks on a cluster: {who}", last, first, 1.1, "MB: all, a tenth")


@dataclass(frozen=True, slots=True)
class Sample:
    """Memory in use after a number of tasks, by process; the client's is counted without what it had at its start."""

    n_tasks: int
    seconds: float
    megabytes: dict[str, float]


def measure(n_tasks: int) -> list[Sample]:
    """Run so many tasks on a scheduler and workers of its own; return the memory on the way."""
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        processes, address = stack.enter_context(start_cluster(Path(folder)))
        workspace = Path(folder) / "workspace"
        workspace.mkdir()
        plan = _make_plan(n_tasks)
        sampler = Sampler(processes, [round(share * n_tasks) for share in _SHARES])
        run_plan(plan, executor=Dask(address, (workspace,), run=_skip), watchers=(sampler,))
    return sampler.found


@dataclass
class Sampler:
    """Watches a run and looks at the memory of processes after some numbers of tasks.

    Args:
        processes: ids by name.
        at: numbers of tasks, rising.
    """

    processes: dict[str, int]
    at: list[int]
    found: list[Sample] = field(default_factory=list)
    n_ended: int = 0

    def begin(self, plan: Plan) -> None:
        """Start the clock."""
        self._start = time.perf_counter()

    def start(self, tasks: Pass) -> None:
        """Ignore it."""

    def stop(self, tasks: Pass) -> None:
        """Count a task of dask."""
        self.n_ended += 1
        if self.n_ended in self.at:
            megabytes = {name: _read_megabytes(process) for name, process in self.processes.items()}
            self.found.append(Sample(self.n_ended, time.perf_counter() - self._start, megabytes))

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        """Ignore it."""

    def close(self) -> None:
        """Nothing to end."""


def _skip(tasks: Pass) -> list[Outcome]:
    forget_keys()
    return [Outcome(task.node.name, task.video.id, "done") for task in tasks]


def _make_plan(n_tasks: int) -> Plan:
    n_steps = len(Schedule(make_plan(0)).steps)
    return make_plan(-(-n_tasks // n_steps))


@contextmanager
def start_cluster(folder: Path, n_workers: int = N_WORKERS) -> Iterator[tuple[dict[str, int], str]]:
    """Yield the ids of the processes, this one among them, and the address of the scheduler; kill them at the end."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port = str(server.getsockname()[1])
    address = f"tcp://127.0.0.1:{port}"
    preload = ("--preload", "rvos_fusion.executors.dask_scheduler")
    started = {"scheduler": _start(folder, "dask_scheduler", "--host", "127.0.0.1", "--port", port, *preload)}
    for number in range(1, n_workers + 1):
        words = (address, "--no-nanny", "--nthreads", "1")
        started[f"worker {number}"] = _start(folder, "dask_worker", *words)
    try:
        yield {**{name: process.pid for name, process in started.items()}, "client": os.getpid()}, address
    finally:
        for process in started.values():
            process.kill()
            process.wait()


def _start(folder: Path, module: str, *words: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", f"distributed.cli.{module}", "--no-dashboard", *words]
    environment = {**os.environ, **_SMALL, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with (folder / "log.txt").open("ab") as log:
        return subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)


def _read_megabytes(process: int) -> float:
    status = Path(f"/proc/{process}/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) / 1000


def main() -> None:
    """Print the memory on the way to a number of tasks."""
    for sample in measure(int(sys.argv[1])):
        memory = ", ".join(f"{name} {megabytes:.1f} MB" for name, megabytes in sample.megabytes.items())
        print(f"{sample.n_tasks:>7} tasks {sample.seconds:>7.1f} s: {memory}", flush=True)


if __name__ == "__main__":
    main()
