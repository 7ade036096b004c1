"""A program of another environment that answers line by line."""

from __future__ import annotations

import os
import queue
import shlex
import signal
import subprocess
import threading
import time
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from rvos.errors import InputError, StoreError

REQUEST = "request.json"
"""What the file of every request is called; a line that ends with it is an answer."""
_LONGEST_LINE = 1 << 16
_PATIENCE = 10.0
_SHOWN_LINES = 3
_SHOWN_WIDTH = 400


class Program:
    """A process, started by `words`, that answers line by line; `log` gets its standard error and its other lines.

    `grace`: seconds in which an answer under way may still come when this process is asked to end.
    """

    def __init__(self, words: Sequence[str], *, folder: Path, log: Path, grace: float = 0.0) -> None:
        self._words, self._folder, self._log, self._grace = words, folder, log, grace
        self._process: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()

    def ask(self, request: Path, *, where: str, timeout: float | None) -> None:
        """Wait until the program has printed the path of a request again.

        Raises:
            InputError: it cannot be started, ended, or took longer than `timeout` seconds.
        """
        process = self._start()
        assert process.stdin is not None
        # A worker of a cluster may hold the program longer than the workspace stands.
        before = self._log.stat().st_size if self._log.exists() else 0
        with suppress(OSError):  # it ended already, which shows below
            process.stdin.write(f"{request}\n")
            process.stdin.flush()
        try:
            self._wait(process, request, where=where, timeout=timeout, before=before)
        except BaseException as error:
            if isinstance(error, KeyboardInterrupt) and self._grace:
                with suppress(InputError):
                    self._wait(process, request, where=where, timeout=self._grace, before=before)
            # Also where this process is to end: the program must not compute on for nobody.
            self.close()
            raise

    def _wait(
        self, process: subprocess.Popen[str], request: Path, *, where: str, timeout: float | None, before: int
    ) -> None:
        latest = None if timeout is None else time.monotonic() + timeout
        while True:
            try:
                line = self._lines.get(timeout=None if latest is None else max(0.0, latest - time.monotonic()))
            except queue.Empty:
                raise InputError(self._explain(where, f"took longer than {timeout:g} s", before)) from None
            if line is None:
                raise InputError(self._explain(where, f"ended with status {_end(process)}", before))
            if line.strip() == str(request):
                return

    def close(self) -> None:
        """End the program."""
        if self._process is not None:
            self._finalizer.detach()  # so that nothing else that gets its number later is ended for it
            _end(self._process, patience=0)
            self._process = None

    def _start(self) -> subprocess.Popen[str]:
        if self._process is not None:
            return self._process
        self._lines = queue.Queue()
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            with self._log.open("ab") as log:
                process = subprocess.Popen(
                    self._words,
                    cwd=self._folder,
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    encoding="utf-8",
                    # A path may hold bytes that are no UTF-8.
                    errors="surrogateescape",
                    # Of its own, so that it ends with whatever it has started.
                    start_new_session=True,
                )
        except OSError as error:
            if error.filename == str(self._log):
                raise StoreError(
                    f"{self._log}: cannot be written ({error.strerror}); choose another workspace"
                ) from None
            raise InputError(f"{shlex.join(self._words)}: cannot be started ({error.strerror}); check it") from None
        threading.Thread(target=_collect, args=(process.stdout, self._lines, self._log), daemon=True).start()
        threading.Thread(target=_end_group, args=(process,), daemon=True).start()
        # Also at the end of this process. Killed, it leaves the program without input, which ends it too.
        self._finalizer = weakref.finalize(self, _end, process, patience=_PATIENCE)
        self._process = process
        return process

    def _explain(self, where: str, what: str, before: int) -> str:
        try:
            with self._log.open("rb") as stream:
                stream.seek(max(before, os.fstat(stream.fileno()).st_size - _LONGEST_LINE))
                said = stream.read().decode("utf-8", "replace")
        except OSError:
            said = ""
        lines = [line.strip() for line in said.splitlines() if line.strip()]
        last = " | ".join(lines[-_SHOWN_LINES:])[-_SHOWN_WIDTH:] or "it said nothing"
        return f"{where}: {shlex.join(self._words)} {what}: {last}; all that it said is in {self._log}"


def _collect(stream: IO[str], lines: queue.Queue[str | None], log: Path) -> None:
    """Hand on what the program prints; what is no request of ours is kept beside its standard error."""
    with stream:
        # Never more at once than a line may have: progress bars and binary output have no line ends.
        while line := stream.readline(_LONGEST_LINE):
            if line.strip().endswith(REQUEST):
                lines.put(line)
            else:
                with suppress(OSError), log.open("a", encoding="utf-8", errors="surrogateescape") as kept:
                    kept.write(line)
    lines.put(None)


def _end(process: subprocess.Popen[str], *, patience: float = _PATIENCE) -> int:
    """End a program with all that it started, and return its status; it has some seconds to end by itself."""
    with suppress(OSError):
        assert process.stdin is not None
        process.stdin.close()
    with suppress(subprocess.TimeoutExpired):
        if patience:
            process.wait(patience)
    # Even where it has ended already: the thread that ends its group may not have come to it yet.
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait()


def _end_group(process: subprocess.Popen[str]) -> None:
    """End what a program has started as soon as it ends itself; it may live on, and hold the program's output open."""
    process.wait()
    with suppress(OSError):
        os.killpg(process.pid, signal.SIGKILL)
