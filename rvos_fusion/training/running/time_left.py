"""How long a training will still take, by what its parts took so far."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm import tqdm


class TimeLeft:
    """Steps and interruptions (validations, saved states), timed apart: a mean of both would jump at each of them.

    `budget`: seconds that the training may take; None: as long as its steps.
    """

    def __init__(self, n_steps: int, budget: float | None = None) -> None:
        self._n_steps, self._budget = n_steps, budget
        self._steps = _Mean()
        self._breaks: dict[str, _Mean] = {}

    def step(self, seconds: float) -> None:
        """Count a step."""
        self._steps.add(seconds)

    def pause(self, kind: str, seconds: float) -> None:
        """Count an interruption."""
        self._breaks.setdefault(kind, _Mean()).add(seconds)

    def estimate(self, done: int, *, seconds: float, due: dict[str, int]) -> tuple[float, bool] | None:
        """Return the seconds that are left, and whether all parts of them were timed; None before the first step.

        Args:
            done: steps.
            seconds: that the training took so far.
            due: interruptions that are still to come, by kind.
        """
        if not self._steps.count:
            return None
        pauses = sum(count * self._breaks[kind].value for kind, count in due.items() if kind in self._breaks)
        is_whole = all(kind in self._breaks for kind, count in due.items() if count)
        left = (self._n_steps - done) * self._steps.value + pauses
        if self._budget is not None and self._budget - seconds <= left:
            return max(self._budget - seconds, 0.0), True
        return left, is_whole


def show_time(estimate: tuple[float, bool] | None) -> str:
    """Return an estimate in words: `about 1:02:03 left`, or `at least` where a part was never timed."""
    if estimate is None:
        return ""
    seconds, is_whole = estimate
    return f"{'about' if is_whole else 'at least'} {tqdm.format_interval(seconds)} left"


def count_due(done: int, last: int, *every: int) -> int:
    """Return how many steps from `done` to `last` end with a break: the last, multiples of two `every` (0: none)."""
    given = sorted({number for number in every if number > 0})

    def count(steps: int) -> int:
        both = math.lcm(*given) if len(given) > 1 else 0
        return sum(steps // number for number in given) - (steps // both if both else 0)

    ends_with_one = any(last % number == 0 for number in given)
    return count(last) - count(done) + (not ends_with_one) if done < last else 0


@contextmanager
def timed(note: Callable[[float], None]) -> Iterator[None]:
    """Note the seconds of what is done inside."""
    begun = time.monotonic()
    yield
    note(time.monotonic() - begun)


class _Mean:
    """A mean in which what is recent counts more, so that it follows a machine that others begin to use."""

    _RECENT = 200

    def __init__(self) -> None:
        self.count, self.value = 0, 0.0

    def add(self, value: float) -> None:
        self.count += 1
        self.value += (value - self.value) / min(self.count, self._RECENT)
