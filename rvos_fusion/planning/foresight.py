"""How long nodes will take: from earlier runs in the workspace, or from what their networks multiply.

A network that never ran here is foreseen from its row in `kinds/networks/operations.py`: multiply-adds over the rate
of a large product on this machine, and the share of it that whole networks reach (docs/measured/performance.md).
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from rvos.errors import InputError
from rvos.videos import Video
from rvos_fusion.kinds.base import Node, capability
from rvos_fusion.kinds.networks.operations import Clip, Effort, Size
from rvos_fusion.planning.timings import count_work, read_speeds

_USUAL_SIZE = (720, 1280)
_SIDE = 1536
_MEASURED_SECONDS = 2.0
_GIGA = 1e9


@runtime_checkable
class Computes(Protocol):
    """A node with a network whose size may be known."""

    def foresee(self, clip: Clip) -> Effort | None:
        """Return what the network will do to a video; None: nobody knows its size."""


@dataclass(frozen=True, slots=True)
class Expected:
    """What is left of a node.

    Args:
        seconds: on one process with all cores; None: unknown.
        multiply_adds: G, where the seconds come from them; None: from an earlier run.
    """

    seconds: float | None
    multiply_adds: float | None = None


class Foresight:
    """What nodes will take on this machine, whose rate is measured once, if anybody asks for it.

    Args:
        workspace: with the times of earlier runs; None: there are none.
    """

    def __init__(self, workspace: Path | None = None) -> None:
        self._speeds: Mapping[str, float] = {} if workspace is None else read_speeds(workspace)
        self._sizes: dict[str, Size] = {}
        self._rate: float | None = None

    @property
    def rate(self) -> float:
        """G multiply-adds a second of a large product on this machine."""
        if self._rate is None:
            self._rate = measure_rate()
        return self._rate

    def expect(self, node: Node, videos: Sequence[Video]) -> Expected:
        """Return what these videos will take."""
        if not videos:
            return Expected(0.0)
        if (speed := self._speeds.get(node.name)) is not None:
            return Expected(speed * sum(map(count_work, videos)))
        efforts = [self.foresee(node, video) for video in videos]
        known = [one for one in efforts if one is not None]
        if len(known) < len(efforts):
            return Expected(None)
        products = sum(one.multiply_adds for one in known)
        return Expected(sum(one.multiply_adds / one.share for one in known) / self.rate, products)

    def foresee(self, node: Node, video: Video) -> Effort | None:
        """Return what the node's network will do to a video; None: nobody knows its size."""
        if (computing := capability(node, Computes)) is None:
            return None
        return computing.foresee(Clip(video.n_frames, len(video.expressions), self._read_size(video)))

    def _read_size(self, video: Video) -> Size:
        if video.id not in self._sizes:
            try:
                self._sizes[video.id] = video.read_size()
            except InputError:  # told elsewhere; most videos of the field are of this size
                self._sizes[video.id] = _USUAL_SIZE
        return self._sizes[video.id]


def measure_rate() -> float:
    """Return the G multiply-adds a second of a large float32 product: the best of two seconds, all cores."""
    import torch

    one, other = torch.randn(2, _SIDE, _SIDE)
    product = torch.empty(_SIDE, _SIDE)
    best, end = float("inf"), time.perf_counter() + _MEASURED_SECONDS
    while (start := time.perf_counter()) < end:
        torch.mm(one, other, out=product)
        best = min(best, time.perf_counter() - start)
    return _SIDE**3 / best / _GIGA


@dataclass(frozen=True, slots=True)
class Largest:
    """The most memory that one process will hold: megabytes, and for which video of which node."""

    megabytes: float
    node: Node
    video: Video


def find_largest(nodes: Sequence[Node], videos: Sequence[Video]) -> Largest | None:
    """Return the node and video that need the most memory, of the networks whose size is known; None: of none."""
    foresight = Foresight()
    efforts = ((node, video, foresight.foresee(node, video)) for node in nodes for video in videos)
    found = (Largest(effort.megabytes, node, video) for node, video, effort in efforts if effort is not None)
    return max(found, key=lambda one: one.megabytes, default=None)
