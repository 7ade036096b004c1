"""A dask scheduler and workers as processes of their own on this machine."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

TESTS = Path(__file__).parent
_SECONDS = 240.0


@dataclass
class Cluster:
    """A scheduler with workers, each of which a nanny starts again when it dies.

    Args:
        folder: for the log and what dask writes.
        port: of the scheduler on 127.0.0.1.
    """

    folder: Path
    port: int
    scheduler: subprocess.Popen[bytes] | None = None
    nannies: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def address(self) -> str:
        """Where the scheduler listens."""
        return f"tcp://127.0.0.1:{self.port}"

    def start_scheduler(self) -> None:
        """Start the scheduler as docs/cluster.md does, and wait until it listens."""
        self.scheduler = self._start(
            "dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-show",
            "--preload", "rvos_fusion.executors.dask_scheduler",
        )  # fmt: skip
        wait_for(self._listens)

    def start_worker(self, *words: str, path: Path | None = None) -> None:
        """Start one worker of one thread.

        Args:
            path: a folder before all others on its `sys.path`.
        """
        worker = self._start(
            "dask_worker", self.address, "--nthreads", "1", "--local-directory", str(self.folder), "--death-timeout",
            str(_SECONDS), *words, path=path,
        )  # fmt: skip
        self.nannies.append(worker)

    def stop(self) -> None:
        """Kill everything."""
        for process in [*self.nannies, self.scheduler]:
            if process is not None:
                with_children = _find_children(process.pid)
                process.kill()
                process.wait()
                for child in with_children:
                    _kill(child)
        self.nannies.clear()

    def _listens(self) -> bool:
        with socket.socket() as caller:
            return caller.connect_ex(("127.0.0.1", self.port)) == 0

    def _start(self, module: str, *words: str, path: Path | None = None) -> subprocess.Popen[bytes]:
        folders = [str(path)] if path is not None else []
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join([*folders, str(TESTS), str(TESTS.parent)]),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", f"distributed.cli.{module}", *words, "--no-dashboard"]
        with (self.folder / "log.txt").open("ab") as log:
            return subprocess.Popen(command, env=environment, cwd=self.folder, stdout=log, stderr=log)


def find_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        port: int = server.getsockname()[1]
    return port


def wait_for(condition: object) -> None:
    """Wait until a function returns something true.

    Raises:
        TimeoutError: it does not.
    """
    end = time.monotonic() + _SECONDS
    while not condition():  # type: ignore[operator]
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.02)


def _find_children(process: int) -> list[int]:
    found = subprocess.run(["ps", "-o", "pid=", "--ppid", str(process)], capture_output=True, text=True, check=False)
    return [int(word) for word in found.stdout.split()]


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return
