"""Processor time of one call: what other programs on the machine do counts little."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

Result = TypeVar("Result")
Other = TypeVar("Other")


def timed(call: Callable[[], Result]) -> tuple[Result, float]:
    """Return what `call` gives and the processor seconds of this process that it took."""
    start = time.process_time()
    result = call()
    return result, time.process_time() - start


def paired(
    first: Callable[[], Result], second: Callable[[], Other], goes: int
) -> tuple[tuple[Result, float], tuple[Other, float]]:
    """Return `fastest` of two calls that take turns: what slows the machine down for a while slows both."""
    pairs = [(timed(first), timed(second)) for _ in range(goes)]
    (one, _), (other, _) = pairs[0]
    return (one, min(found[1] for found, _ in pairs)), (other, min(found[1] for _, found in pairs))


def fastest(call: Callable[[], Result], repeats: int) -> tuple[Result, float]:
    """Return what `call` gives, and the fewest processor seconds that it took in `repeats` goes."""
    result, seconds = timed(call)
    for _ in range(repeats - 1):
        result, again = timed(call)
        seconds = min(seconds, again)
    return result, seconds
