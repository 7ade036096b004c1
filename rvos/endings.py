"""Signals that end a command: each raises, so that whatever was begun is undone on the way out."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_UNWINDING = 5.0
"""Seconds in which another signal is taken for the same: `timeout` and schedulers send it to process and group."""
_NAMES = ("SIGINT", "SIGTERM", "SIGHUP")


class Ended(KeyboardInterrupt):
    """The process was asked to end. `number`: of the signal."""

    def __init__(self, number: int) -> None:
        name = signal.Signals(number).name
        super().__init__("interrupted" if number == signal.SIGINT else f"ended by {name}")
        self.exit_status = 128 + number


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """In the main thread, let SIGINT, SIGTERM and SIGHUP raise `Ended`, unless they are ignored, as by `nohup`."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    last = -_UNWINDING

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal last
        # One that comes later is heard: code of a user's may have swallowed the first.
        if time.monotonic() - last >= _UNWINDING:
            last = time.monotonic()
            raise Ended(number)

    numbers = [getattr(signal, name) for name in _NAMES if hasattr(signal, name)]
    kept = {number: signal.getsignal(number) for number in numbers}
    heard = [number for number in numbers if kept[number] in (signal.SIG_DFL, signal.default_int_handler)]
    for number in heard:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in heard:
            signal.signal(number, kept[number])
