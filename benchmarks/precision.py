"""Every network's whole pass in bfloat16, and the passes that a recipe may compile, against float32 as it is.

Random weights, one core, processor time: what it does to masks needs trained ones, see
`docs/measured/performance.md`. On a processor without products in bfloat16 it is slower than float32.

`python -m benchmarks.precision NAME ...` prints the table of `docs/measured/performance.md` for some networks.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import torch

from benchmarks.harness import Row, gain, one_core, paired, print_markdown, processor_name, timed
from benchmarks.roofline_networks import NETWORKS, Pass

Result = TypeVar("Result")
_GOES = 2
_COMPILED = {
    "soc": ("backbone", "encoder"),
    "referformer": ("backbone", "encoder"),
    "mutr": ("backbone", "encoder"),
    "uninext-r50": ("backbone",),
    "uninext-convnext-l": ("backbone",),
}
"""The parts that `compile: true` compiles."""


@dataclass(frozen=True, slots=True)
class Seconds:
    """Processor seconds of a pass.

    Args:
        first: elapsed seconds of the first compiled pass, which compiles; None: the network has no such setting.
        compiled: of a later one.
    """

    full: float
    half: float
    first: float | None = None
    compiled: float | None = None


def run() -> Iterator[Row]:
    """Yield both precisions of every network; nothing is promised, as it is the processor's doing."""
    with one_core():
        for name in NETWORKS:
            seconds = measure(name, compiles=False)
            yield gain(f"{name}, bfloat16", seconds.half, seconds.full, 0, "s")


def measure(name: str, *, compiles: bool) -> Seconds:
    """Return the seconds of a network's pass in turn with those of the other ways."""
    with torch.inference_mode():
        one, other = _build(name), _in_bfloat16(partial(_build, name))
        # The first pass pays for allocations that the later ones reuse.
        one.call()
        (_, full), (_, half) = paired(one.call, partial(_in_bfloat16, other.call), _GOES)
        if not compiles or name not in _COMPILED:
            return Seconds(full, half)
        for part in _COMPILED[name]:
            one.parts[part].compile()
        start = time.perf_counter()
        one.call()
        first = time.perf_counter() - start
        return Seconds(full, half, first, min(timed(one.call)[1] for _ in range(_GOES)))


def _build(name: str) -> Pass:
    torch.manual_seed(0)
    return NETWORKS[name]()


def _in_bfloat16(call: Callable[[], Result]) -> Result:
    # What a pass remembers is made in the same precision as the pass.
    with torch.autocast("cpu", torch.bfloat16):
        return call()


def main(names: Sequence[str]) -> None:
    """Print the table of some networks, compiled ones included."""
    print(f"{processor_name()}, one core, seconds of a pass\n")
    with one_core():
        rows = ((name, measure(name, compiles=True)) for name in names or NETWORKS)
        print_markdown(
            ("network", "float32", "bfloat16", "compiled", "its first pass, elapsed"),
            (
                (
                    name,
                    *("" if one is None else f"{one:.3g}" for one in (each.full, each.half, each.compiled, each.first)),
                )
                for name, each in rows
            ),
        )


if __name__ == "__main__":
    main(sys.argv[1:])
