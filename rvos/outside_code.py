"""Code of users is run so that it can neither end a run unseen nor take its standard output away."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from typing import Any, NoReturn, TextIO, cast

_LONGEST = 300
_OUTPUT, _ERRORS = 1, 2


class ExitedError(Exception):
    """Code of a user's asked for the end of the whole process, or raised what is no ordinary exception."""


def describe(error: BaseException) -> str:
    """Return class and text of an error in one line; the class alone where it has no text."""
    try:
        text = " ".join(str(error).split())[:_LONGEST]
    except Exception:  # of a class of the user's
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


@contextmanager
def contained() -> Iterator[None]:
    """Run code of a user's: what it prints goes to standard error, and an exit becomes an error.

    Standard output is the command's own: a line there would spoil what a program reads, and it may be closed.

    Raises:
        ExitedError: it called `sys.exit` or `os._exit`, or raised something that is no `Exception`.
    """
    try:
        with _output_lent(), _exit_refused():
            yield
    except (Exception, KeyboardInterrupt):
        raise
    except SystemExit as error:
        raise ExitedError(f"sys.exit({'' if error.code is None else repr(error.code)}) was called") from error
    except BaseException as error:
        raise ExitedError(describe(error)) from error


class _Lent:
    """A stream that whoever it is lent to cannot close."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def close(self) -> None:
        """Leave it open."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextmanager
def _output_lent() -> Iterator[None]:
    """Lead standard output, of Python and of libraries below it, to standard error."""
    if sys.stdout is None or sys.stderr is None:  # a service without them, that uses the Python interface
        yield
        return
    with suppress(OSError, ValueError):  # what is ours must not come out with the user's
        sys.stdout.flush()
    kept: int | None = None
    with suppress(OSError):
        kept = os.dup(_OUTPUT)
        os.dup2(_ERRORS, _OUTPUT)
    lent = cast(TextIO, _Lent(sys.stderr))
    try:
        with redirect_stdout(lent), redirect_stderr(lent):
            yield
    finally:
        if kept is not None:
            os.dup2(kept, _OUTPUT)
            os.close(kept)


@contextmanager
def _exit_refused() -> Iterator[None]:
    """Let `os._exit` raise; in a process that the code forks it ends that one."""
    process, end = os.getpid(), os._exit

    def refuse(status: int) -> NoReturn:
        if os.getpid() == process:
            raise ExitedError(f"os._exit({status}) was called")
        end(status)

    os._exit = refuse
    try:
        yield
    finally:
        os._exit = end
