"""Processor time of one call: what other programs on the machine do counts little."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")


def timed(call: Callable[[], Result]) -> tuple[Result, float]:
    """Return what `call` gives and the processor seconds of this process that it took."""
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def fastest(call: Callable[[], Result], repeats: int) -> tuple[Result, float]:
    """Return what `call` gives, and the fewest processor seconds that it took in `repeats` goes."""
    result, seconds = timed(call)
    for _ in range(repeats - 1):
        result, again = timed(call)
        seconds = min(seconds, again)
    return result, seconds
