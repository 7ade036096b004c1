"""Code of users: it cannot end the process unseen, nor print to or close what belongs to the command."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

from rvos.outside_code import ExitedError, contained, describe


class OddError(Exception):
    """An error that cannot be shown."""

    def __str__(self) -> str:
        raise RuntimeError


class NoExceptionError(BaseException):
    """What `except Exception` lets pass."""


def raise_odd() -> None:
    raise NoExceptionError("odd")


@pytest.mark.parametrize(
    ("leave", "message"),
    [
        (sys.exit, r"sys\.exit\(\) was called"),
        (lambda: sys.exit(0), r"sys\.exit\(0\) was called"),
        (lambda: os._exit(0), r"os\._exit\(0\) was called"),
        (raise_odd, "NoExceptionError: odd"),
    ],
    ids=["exit", "exit 0", "exit at once", "no exception"],
)
def test_an_exit_is_an_error(leave: Callable[[], None], message: str) -> None:
    with pytest.raises(ExitedError, match=message), contained():
        leave()


def test_a_user_s_interrupt_passes() -> None:
    with pytest.raises(KeyboardInterrupt), contained():
        raise KeyboardInterrupt


def test_a_forked_process_may_end_itself() -> None:
    code = """
import os
from rvos.outside_code import contained
with contained():
    child = os.fork()
    if not child:
        os._exit(3)
raise SystemExit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", code]).returncode == 3


def test_what_is_printed_goes_to_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    print("ours")
    with contained():
        print("theirs")
        subprocess.run([sys.executable, "-c", "print('of a library')"], check=True)
    print("ours again")
    out, err = capfd.readouterr()
    assert out.splitlines() == ["ours", "ours again"]
    assert sorted(err.splitlines()) == ["of a library", "theirs"]


def test_streams_that_are_closed_are_open_afterwards(capfd: pytest.CaptureFixture[str]) -> None:
    with contained():
        sys.stdout.close()
        sys.stderr.close()
        os.close(1)
    print("still there")
    print("this one too", file=sys.stderr)
    assert capfd.readouterr() == ("still there\n", "this one too\n")


@pytest.mark.parametrize(
    ("error", "text"),
    [(ValueError("two\nlines"), "ValueError: two lines"), (ValueError(), "ValueError"), (OddError(), "OddError")],
)
def test_every_error_has_a_description(error: Exception, text: str) -> None:
    assert describe(error) == text
