"""Signals that end a command: each raises once, so that what was begun is undone."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator

import pytest

from rvos.endings import Ended, ended_by_signals


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Signals are heard, also where the tests were started so that they are ignored (in the background, by nohup)."""
    handlers = {
        signal.SIGINT: signal.default_int_handler,
        signal.SIGTERM: signal.SIG_DFL,
        signal.SIGHUP: signal.SIG_DFL,
    }
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("name", "status", "text"),
    [("SIGINT", 130, "interrupted"), ("SIGTERM", 143, "ended by SIGTERM"), ("SIGHUP", 129, "ended by SIGHUP")],
)
def test_each_signal_raises_with_its_status(name: str, status: int, text: str) -> None:
    number = getattr(signal, name)
    before = signal.getsignal(number)
    with pytest.raises(Ended, match=text) as caught, ended_by_signals():
        signal.raise_signal(number)
    assert caught.value.exit_status == status
    assert signal.getsignal(number) == before


def test_a_second_one_does_not_disturb_what_is_being_undone() -> None:
    undone = []

    def begin_and_undo() -> None:
        try:
            signal.raise_signal(signal.SIGHUP)
        finally:
            signal.raise_signal(signal.SIGTERM)
            undone.append("all")

    with pytest.raises(Ended, match="SIGHUP"), ended_by_signals():
        begin_and_undo()
    assert undone == ["all"]


def test_what_the_caller_ignores_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_another_thread_nothing_changes() -> None:
    seen: list[object] = []

    def look() -> None:
        with ended_by_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    assert seen == [signal.getsignal(signal.SIGTERM)]
