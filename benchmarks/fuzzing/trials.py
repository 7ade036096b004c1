"""A command tried in a forked process: what it may touch, how long and large it may become, what it is blamed for."""

from __future__ import annotations

import os
import re
import resource
import signal
import sys
import tempfile
import traceback
import warnings
from collections.abc import Sequence
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn, TextIO

from benchmarks.harness import ROOT
from rvos_fusion.commands.cli import COMMANDS, main, module_of

MOST_MEMORY = 1 << 30
MOST_SECONDS = 20.0
"""Of processor time. A command that waits, as for a pipe, is ended after ten times as long: machines are busy."""
SENTINEL = "was_run"
"""What hostile inputs leave behind if anything runs them."""
MODEL = "plain_model.py"
"""A model of the user's, beside the recipe."""
_CHECKPOINT = ROOT / "demo/checkpoints/soc.safetensors"
_TRAINING = ROOT / "rvos_fusion/training/configs/small_soc.yaml"
_RESERVED = 4 << 30  # bytes above what the process has, so that a fault does not take the machine down
_STATUSES = (0, 1, 2)
_TRACEBACK = "Traceback (most recent call last)"
_WARNING = re.compile(r"^\S+:\d+: \w*Warning", re.MULTILINE)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\x9b]")
_LONGEST_LINE = 4000
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
# Event -> where its arguments name a path and the folder, by its handle, that the path is relative to.
_CHANGES = {
    **dict.fromkeys(("os.rmdir", "os.remove"), ((0, 1),)),
    **dict.fromkeys(("os.mkdir", "os.chmod"), ((0, 2),)),
    **dict.fromkeys(("os.chown", "os.utime"), ((0, 3),)),
    **dict.fromkeys(("os.rename", "os.link"), ((0, 2), (1, 3))),
    "os.truncate": ((0, -1),),
    "os.symlink": ((1, 2),),
}
_PROGRAMS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn")
_ASKED_PROGRAMS = frozenset({"git", "nvidia-smi", "uname"})  # which commit this is, and which machine
_NETWORK = ("socket.connect", "socket.getaddrinfo", "socket.sendto")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a command did.

    Args:
        status: exit status; negative: the signal that ended it.
        faults: what it is to be blamed for, one line each; none: it did well.
        shown: what it printed.
        peak: the largest memory that it held, bytes.
    """

    status: int
    faults: tuple[str, ...]
    shown: str
    peak: int


def attempt(words: Sequence[str], folder: Path, *, own: Sequence[str] = (), runs_code: bool = False) -> Outcome:
    """Run `rvos WORDS` in a fork of this process, in `folder`.

    Args:
        own: files and folders that the command may change; all else in `folder` belongs to the user. It is not blamed
            for wishing to change those that lie elsewhere, but refused.
        runs_code: the command may import what a recipe names.
    """
    shown, told = (tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") for _ in range(2))  # noqa: SIM115
    with shown, told:
        sys.stdout.flush()
        sys.stderr.flush()
        child = os.fork()
        if not child:
            _run(words, folder, own, shown, told)
        _, ending, usage = os.wait4(child, 0)
        status = os.waitstatus_to_exitcode(ending)
        for semaphore in Path("/dev/shm").glob(f"sem.loky-{child}-*"):  # the child's own end unlinks nothing
            semaphore.unlink(missing_ok=True)
        for stream in (shown, told):
            stream.seek(0)
        text, faults = shown.read(), told.read().splitlines()
    return Outcome(
        status,
        (*faults, *_judge(status, text), *_find_left(folder, runs_code), *_weigh(usage.ru_maxrss << 10)),
        text,
        usage.ru_maxrss << 10,
    )


def _judge(status: int, text: str) -> list[str]:
    """Return what is wrong with the end of a command and with what it printed."""
    faults = []
    if -status in (signal.SIGALRM, signal.SIGPROF):
        faults.append(f"hangs ({signal.Signals(-status).name})")
    elif status not in _STATUSES:
        faults.append(f"ends with status {status}")
    if _TRACEBACK in text:
        faults.append("prints a traceback")
    if status == 2 and not text.strip():
        faults.append("fails without a word")
    if found := _WARNING.search(text):
        faults.append(f"prints a warning of Python: {found[0]}")
    if found := _CONTROL.search(text):
        faults.append(f"prints a control character: {found[0]!r}")
    if any(len(line) > _LONGEST_LINE for line in text.splitlines()):
        faults.append("prints a line that nobody reads")
    return faults


def _find_left(folder: Path, runs_code: bool) -> list[str]:
    """Return what should not lie in the folder: sentinels, tracebacks that were kept, parts of files."""
    faults = []
    for path in folder.rglob("*"):
        if path.name == SENTINEL and not runs_code:
            faults.append("executes an input")
        elif path.name.endswith(".part"):
            faults.append(f"leaves a part of a file: {path.relative_to(folder)}")
        elif "failures" in path.parts or path.parent.name == "logs":
            kept = path.read_text(errors="replace") if path.is_file() and not path.is_symlink() else ""
            # A model of the user's may break as it likes.
            if _TRACEBACK in kept and not (runs_code and MODEL in kept):
                faults.append("keeps a traceback")
    return faults


def _weigh(peak: int) -> list[str]:
    return [f"holds {peak >> 20} MiB"] if peak > MOST_MEMORY else []


def _run(words: Sequence[str], folder: Path, own: Sequence[str], shown: TextIO, told: TextIO) -> NoReturn:
    """Run the command in this process, and end it."""
    status = 125
    try:
        _limit()
        os.chdir(folder)
        for number in (1, 2):
            os.dup2(shown.fileno(), number)
        sys.stdout, sys.stderr = (
            open(number, "w", encoding="utf-8", errors="backslashreplace", closefd=False)  # noqa: SIM115
            for number in (1, 2)
        )
        warnings.showwarning = _show_warning  # whoever tries the command may have led warnings elsewhere
        sys.addaudithook(_Guard(folder, own, told))
        status = main(list(words))
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        print(f"{type(error).__name__} at {Path(frame.filename).name}:{frame.lineno}: {error!a:.200}", file=told)
        traceback.print_exc(file=shown)
    finally:
        for stream in (sys.stdout, sys.stderr, shown, told):
            stream.flush()
        os._exit(status & 0xFF)


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    print(warnings.formatwarning(message, category, filename, lineno, line), file=sys.stderr)


def _limit() -> None:
    """Bound time and memory; the signals end the process, as nothing of the product hears them."""
    for kind, number, factor in ((signal.ITIMER_PROF, signal.SIGPROF, 1), (signal.ITIMER_REAL, signal.SIGALRM, 10)):
        signal.signal(number, signal.SIG_DFL)
        signal.setitimer(kind, factor * MOST_SECONDS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + _RESERVED
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


class _Guard:
    """An audit hook that notes and refuses what no command may do for such an input."""

    def __init__(self, folder: Path, own: Sequence[str], told: TextIO) -> None:
        self._root = os.path.realpath(folder)
        self._own = tuple(os.path.join(self._root, name).rstrip(os.sep) for name in own)
        self._users = {path for path in _list_files(self._root) if not self._is_own(path)}
        self._told = told

    def __call__(self, event: str, given: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = given
            # A folder is opened for a file without a name: to see whether it may be written; nothing is left.
            if isinstance(path, str | bytes | os.PathLike) and flags & _WRITING and not os.path.isdir(path):
                self._check(os.fsdecode(path))
        elif event in _CHANGES:
            for place, base in _CHANGES[event]:
                if isinstance(given[place], str | bytes | os.PathLike):
                    around = given[base] if base > 0 and isinstance(given[base], int) and given[base] >= 0 else None
                    parts = [] if around is None else [os.readlink(f"/proc/self/fd/{around}")]
                    self._check(os.path.join(*parts, os.fsdecode(given[place])))
        elif event in _PROGRAMS:
            name = os.path.basename(os.fsdecode(given[0])) if event != "os.system" else ""
            self._refuse(name not in _ASKED_PROGRAMS, f"starts a program: {given[0]!a:.100}")
        elif event in _NETWORK:
            self._refuse(True, f"asks the network: {given!a:.100}")

    def _check(self, path: str) -> None:
        # The link itself is written, not what it leads to; its folder may lie anywhere.
        head, tail = os.path.split(os.path.abspath(path))
        place = os.path.join(os.path.realpath(head), tail)
        if place == os.devnull:
            return
        is_inside = place == self._root or place.startswith(self._root + os.sep)
        if not is_inside and self._is_own(place):
            raise PermissionError(13, "refused by the trial")
        self._refuse(not is_inside, f"writes outside of its folder: {place!a}")
        self._refuse(place in self._users, f"changes a file of the user's: {place[len(self._root) :]!a}")

    def _refuse(self, is_wrong: bool, fault: str) -> None:
        if is_wrong:
            print(fault, file=self._told, flush=True)
            raise PermissionError(13, "refused by the trial")

    def _is_own(self, path: str) -> bool:
        return any(path == own or path.startswith(own + os.sep) for own in self._own)


def _list_files(root: str) -> list[str]:
    return [os.path.join(folder, name) for folder, _, names in os.walk(root) for name in names]


def prepare() -> None:
    """Import what the commands import, so that no fork has to; what torch writes at its import is not theirs."""
    sys.dont_write_bytecode = True
    for command in COMMANDS:
        import_module(module_of(command))
    with open(os.devnull, "w") as nowhere, redirect_stdout(nowhere), redirect_stderr(nowhere):
        main(["checkpoint", str(_CHECKPOINT)])
        main(["train", str(_TRAINING), "--quiet"])
