"""How close every network comes to what the machine can do: multiply-adds a second against a large matrix product.

One core, processor time, the best of several goes: so the figures hold on a machine that others use too. Only products
are counted (matrices, convolutions, attention): what a part does beside them shows as a low share.

`python -m benchmarks.roofline NAME ...` prints the table of `docs/measured/performance.md` for some networks.
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_flop_count

from benchmarks.harness import Row, copy_bandwidth, figure, matrix_rate, one_core, print_markdown, processor_name
from benchmarks.roofline_networks import NETWORKS, Pass

GOES = 3
_GIGA = 1e9
_BOUND = 0.45
_WHOLE, _REST = "all", "rest"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a pass, or all of it.

    Args:
        multiply_adds: of its products.
        seconds: of one core.
    """

    name: str
    multiply_adds: float
    seconds: float

    @property
    def rate(self) -> float:
        """Multiply-adds a second."""
        return self.multiply_adds / self.seconds if self.seconds else 0.0


def run(names: Sequence[str] = tuple(NETWORKS)) -> Iterator[Row]:
    """Yield the rate of networks and their parts; the bound is on whole passes."""
    with one_core():
        limit = matrix_rate()
        yield figure("a copy", copy_bandwidth() / _GIGA, "GB/s")
        for name in names:
            for part in measure(name):
                bound = f">= {_BOUND}" if part.name == _WHOLE else ">= 0"
                label = f"{name}, {part.name}: {part.multiply_adds / _GIGA:.1f} G, {part.seconds:.3g} s"
                yield Row(label, part.rate / _GIGA, limit / _GIGA, part.rate / limit, bound, "G/s")


def measure(name: str, goes: int = GOES) -> list[Part]:
    """Return the whole pass of a network, then its parts, then the rest."""
    torch.manual_seed(0)
    with torch.inference_mode():
        one = NETWORKS[name]()
        # The pass that is counted pays for allocations that the timed ones reuse.
        counted = count_products(one)
        timed = min((observe(one, time.process_time) for _ in range(goes)), key=lambda seconds: seconds[_WHOLE])
    return [Part(part, counted[part], timed[part]) for part in counted]


def count_products(one: Pass) -> dict[str, float]:
    """Return the multiply-adds of a pass and its parts."""
    fast_path = torch.backends.mha.get_fastpath_enabled()
    # The fast path is one operation that the counter does not know.
    torch.backends.mha.set_fastpath_enabled(False)
    mapping = {
        torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _count_attention,
        torch.ops.mkldnn._linear_pointwise: _count_linear,
        torch.ops.aten.mkldnn_convolution: _count_convolution,
        torch.ops.aten.baddbmm_: _count_added,
    }
    try:
        with FlopCounterMode(display=False, custom_mapping=mapping) as counter:
            return observe(one, lambda: counter.get_total_flops() / 2)
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_path)


def observe(one: Pass, read: Callable[[], float]) -> dict[str, float]:
    """Return by how much a reading grows in a pass, in each of its parts, and in the rest."""
    grown = dict.fromkeys(one.parts, 0.0)

    def before(name: str, *_: Any) -> None:
        grown[name] -= read()

    def after(name: str, *_: Any) -> None:
        grown[name] += read()

    handles = []
    for name, module in one.parts.items():
        handles.append(module.register_forward_pre_hook(partial(before, name)))
        handles.append(module.register_forward_hook(partial(after, name)))
    start = read()
    one.call()
    whole = read() - start
    for handle in handles:
        handle.remove()
    return {_WHOLE: whole, **grown, _REST: whole - sum(grown.values())}


def _count_attention(query: Any, key: Any, value: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))  # type: ignore[no-untyped-call]


def _count_added(total: Any, one: Any, other: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    # (B, n, k) and (B, k, m), added to (B, n, m)
    return int(2 * math.prod(one) * other[2])


def _count_linear(inputs: Any, weight: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    # (..., in) and (out, in): two operations a multiply-add
    return int(2 * math.prod(inputs) * weight[0])


def _count_convolution(inputs: Any, weight: Any, *_: Any, out_shape: Any = None, **__: Any) -> int:
    # (B, out, h, w) and (out, in, k, k)
    return int(2 * math.prod(out_shape) * math.prod(weight[1:]))


def main(names: Sequence[str]) -> None:
    """Print the table of some networks, as `docs/measured/performance.md` has it."""
    with one_core():
        limit = matrix_rate()
        print(f"{processor_name()}, one core: {limit / _GIGA:.1f} G/s, copies {copy_bandwidth() / _GIGA:.1f} GB/s\n")
        parts = ((name, part) for name in names or NETWORKS for part in measure(name))
        print_markdown(
            ("network", "part", "multiply-adds, G", "seconds", "G/s", "share"),
            (
                (
                    *(name, part.name, f"{part.multiply_adds / _GIGA:.1f}", f"{part.seconds:.3g}"),
                    *(f"{part.rate / _GIGA:.1f}", f"{part.rate / limit:.0%}"),
                )
                for name, part in parts
            ),
        )


if __name__ == "__main__":
    main(sys.argv[1:])
