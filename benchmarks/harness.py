"""What every benchmark measures with: rows with an aim, processor time, memory, what the machine can do at most."""

from __future__ import annotations

import platform
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

Result = TypeVar("Result")
Other = TypeVar("Other")
Masks = NDArray[np.bool_]

ROOT = Path(__file__).parents[1]
CPU = torch.device("cpu")
MASK_GATE = 2e-4
"""Share of pixels in which two realisations of one network may differ, as in a parity case: ties fall either way."""
_SIDE = 1536
_COPIED = 1 << 26  # bytes, beyond the caches of one core
_KIB_OF_GIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table.

    Args:
        name: what is measured.
        ours, baseline: both sides, measured in the same run, in `unit`.
        ratio: what the bound is about; at least `bound`, or at most where the bound starts with "<".
        bound: such as ">= 20" or "<= 2".
    """

    name: str
    ours: float
    baseline: float
    ratio: float
    bound: str
    unit: str

    @property
    def passes(self) -> bool:
        """Whether the ratio keeps the bound."""
        sign, number = self.bound.split()
        return self.ratio >= float(number) if sign.startswith(">") else self.ratio <= float(number)


def gain(name: str, ours: float, baseline: float, least: float, unit: str) -> Row:
    """Return the row of what is to be so many times less than the other side."""
    return Row(name, ours, baseline, baseline / ours, f">= {least:g}", unit)


def limit(name: str, value: float, most: float, unit: str) -> Row:
    """Return the row of a value that has a limit."""
    return Row(name, value, most, value / most, "<= 1", unit)


def growth(name: str, last: float, first: float, most: float, unit: str) -> Row:
    """Return the row of what may grow to so many times what it was."""
    return Row(name, last, first, last / first, f"<= {most:g}", unit)


def figure(name: str, value: float, unit: str, other: float = 0.0) -> Row:
    """Return the row of what is told without a bound."""
    return Row(name, value, other, value / other if other else 1.0, ">= 0", unit)


def compare_masks(name: str, pairs: Iterable[tuple[Masks, Masks]], *, limit: float = MASK_GATE) -> Row:
    """Return the row of a comparison of masks."""
    counts = [(int((one != other).sum()), one.size) for one, other in pairs]
    return difference_row(name, sum(found for found, _ in counts), sum(size for _, size in counts), limit=limit)


def difference_row(name: str, differing: int, pixels: int, *, limit: float = MASK_GATE) -> Row:
    """Return the row of a comparison: the share of the pixels that differ, at most `limit`."""
    share = differing / max(pixels, 1)
    return Row(f"{name}, pixels that differ", share, limit, share, f"<= {limit:g}", "share")


def timed(call: Callable[[], Result]) -> tuple[Result, float]:
    """Return what `call` gives and the processor seconds of this process that it took.

    What other programs on the machine do counts little.
    """
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
    goes = [timed(call) for _ in range(repeats)]
    return goes[-1][0], min(seconds for _, seconds in goes)


@contextmanager
def one_core() -> Iterator[None]:
    """Let torch use one thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def peak_gib() -> float:
    """Return the largest memory that this process has held, GiB."""
    # Unlike the figure of `resource`, this one does not start from the parent's.
    status = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in status if line.startswith("VmHWM")).split()[1]) / _KIB_OF_GIB


def run_apart(code: str, *arguments: str) -> list[float]:
    """Return the numbers that Python code prints at the end of a process of its own, one a line."""
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return [float(line) for line in done.stdout.split()]


def print_markdown(headings: Iterable[str], rows: Iterable[Iterable[str]]) -> None:
    """Print a table as the documents have it, each row as soon as it is there."""
    names = list(headings)
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def matrix_rate(goes: int = 5) -> float:
    """Return the multiply-adds a second of a float32 product of square matrices, as torch is set up."""
    one, other = torch.randn(2, _SIDE, _SIDE)
    product = torch.empty(_SIDE, _SIDE)
    torch.mm(one, other, out=product)
    _, seconds = fastest(lambda: torch.mm(one, other, out=product), goes)
    return _SIDE**3 / seconds


def copy_bandwidth(goes: int = 5) -> float:
    """Return the bytes a second that a copy reads and writes."""
    source = torch.zeros(_COPIED, dtype=torch.uint8)
    target = torch.zeros_like(source)
    _, seconds = fastest(lambda: target.copy_(source), goes)
    return 2 * _COPIED / seconds


def processor_name() -> str:
    """Return the name that the processor gives itself."""
    listed = Path("/proc/cpuinfo")
    if listed.exists():
        names = [line.partition(":")[2].strip() for line in listed.read_text().splitlines() if "model name" in line]
        if names:
            return names[0]
    return platform.processor() or platform.machine()
