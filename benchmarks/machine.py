"""What this machine can do at most: the rate of a large matrix product, and the bandwidth of a copy."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from benchmarks.timing import fastest

_SIDE = 1536
_COPIED = 1 << 26  # bytes, beyond the caches of one core


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
