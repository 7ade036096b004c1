"""The log file of a run: what it was started with, every result with its seconds, and what standard error showed."""

from __future__ import annotations

import os
import platform
import shlex
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO, cast

from rvos.errors import PipelineError, StoreError
from rvos.files.atomic import append_text, check_inside
from rvos.settings import count
from rvos_fusion.executors.driver import Watcher
from rvos_fusion.kinds.base import capability
from rvos_fusion.kinds.side_reports import Counting, read_report
from rvos_fusion.planning.plan import Plan
from rvos_fusion.planning.tasks import Outcome
from rvos_fusion.weights.provenance import find_commit, list_versions


def name_log(folder: Path) -> Path:
    """Return where a run that begins now writes its log: `logs/` in its folder, a file of its own."""
    begun = time.strftime("%Y%m%d-%H%M%S", time.gmtime())
    return folder / "logs" / f"{begun}-{os.getpid()}.log"


class RunLog(Watcher):
    """Lines with the time of day (UTC) below the command line; that it can no longer be written does not end a run.

    It watches a run, to note every result that is computed or fails; reused ones are only counted. StoreError where it
    cannot be begun.
    """

    def __init__(self, path: Path, words: Sequence[str]) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._is_open = True
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"{path}: cannot be written ({error.strerror}); choose another folder") from None
        check_inside(path.parent, path.parent.parent)
        versions = ", ".join(f"{name} {version}" for name, version in list_versions().items())
        begun = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        lines = (
            f"{begun}: {shlex.join(words)}",
            f"in {Path.cwd()} on {platform.node()}, {platform.platform()}, {os.cpu_count()} cores",
            f"commit {find_commit() or 'unknown'}; {versions}",
        )
        append_text(path, "".join(f"{line}\n" for line in lines))

    def note(self, line: str) -> None:
        """Add a line."""
        now = time.strftime("%H:%M:%S", time.gmtime())
        with self._lock:
            if not self._is_open:
                return
            try:
                append_text(self.path, f"{now} {line}\n")
            except StoreError:  # a full disk is told where results are written
                self._is_open = False

    def begin(self, plan: Plan) -> None:
        self._plan, self._reused = plan, 0
        self.note(
            f"begins: {count(len(plan.nodes), 'node')}, {count(len(plan.videos), 'video')}, "
            f"workspace {plan.recipe.workspace}"
        )

    def settle(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            self._reused += outcome.status == "reused"
            if outcome.status != "reused":
                message = f": {outcome.message}" if outcome.message else ""
                self.note(f"{outcome.status} {outcome.node} {outcome.video} {outcome.seconds:.2f} s{message}")

    def close(self) -> None:
        for node in self._plan.nodes:
            if (counting := capability(node, Counting)) is not None:
                said = [read_report(task) for task in self._plan.tasks[node.name]]
                self.note(f"{node.name}: {counting.count_reports([one for one in said if one is not None])}")
        self.note(f"ends: {self._reused} results were there already")


@contextmanager
def logged(path: Path) -> Iterator[RunLog]:
    """Give the log of a run; until the end, lines on standard error stand in it too.

    Standard error itself gets what it would get without; of bars, which overwrite themselves, the log has nothing.
    """
    log = RunLog(path, ["rvos", *sys.argv[1:]])
    shown = sys.stderr
    begun = time.monotonic()
    with _Copied(shown, log) as copied:
        sys.stderr = cast(TextIO, copied)
        try:
            yield log
        except PipelineError as error:
            log.note(f"error: {error}")
            raise
        except KeyboardInterrupt as error:
            log.note(str(error) or "interrupted")
            raise
        except Exception:  # a fault of the program: the log keeps where
            log.note(traceback.format_exc().rstrip())
            raise
        finally:
            sys.stderr = shown
            log.note(f"{time.monotonic() - begun:.1f} s in all")


class _Copied:
    """A stream that hands everything on and notes whole lines."""

    def __init__(self, stream: TextIO, log: RunLog) -> None:
        self._stream, self._log = stream, log
        self._rest = ""

    def __enter__(self) -> _Copied:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._note(self._rest)

    def write(self, text: str) -> int:
        """Write text, and note the lines that it ends."""
        count = self._stream.write(text)
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._note(line)
        return count

    def __getattr__(self, name: str) -> Any:
        """Return whatever else the stream has."""
        return getattr(self._stream, name)

    def _note(self, line: str) -> None:
        # What a carriage return overwrites was a bar.
        text = line.rpartition("\r")[2].rstrip()
        if text:
            self._log.note(text)
