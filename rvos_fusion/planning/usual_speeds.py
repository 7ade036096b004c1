"""Seconds that networks took on another machine: what a plan says of nodes that never ran here.

One core, no GPU, one sentence at a time, frames as large as the networks take them: the table of
`docs/measured/performance.md`, and the bundled networks on the demo's frames of 128 x 224 pixels.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol, runtime_checkable

from rvos_fusion.kinds.base import Node, capability

MEASURED_ON = "another machine, one core and no GPU"
_SMALL, _MIDDLE = 30 * 10**6, 1200 * 10**6
_ANY: float = float("inf")

USUAL: Mapping[str, tuple[tuple[float, float], ...]] = {
    "soc": ((_SMALL, 0.0038), (_ANY, 1.27)),
    "mutr": ((_SMALL, 0.0065), (_ANY, 2.24)),
    "referformer": ((_SMALL, 0.0088), (_ANY, 2.30)),
    "uninext": ((_SMALL, 0.0055), (_MIDDLE, 3.32), (_ANY, 8.92)),
    "small-aot": ((_ANY, 0.0127),),
    "small-deaot": ((_ANY, 0.0244),),
    "r50-aotl": ((_ANY, 1.38),),
    "r50-deaotl": ((_ANY, 1.79),),
    "swinl-aotl": ((_ANY, 7.17),),
    "swinl-deaotl": ((_ANY, 7.35),),
    "cfbi": ((_ANY, 4.8),),
    "cfbi+": ((_ANY, 5.3),),
    "sam2.1-hiera-tiny": ((_ANY, 10.9),),
    "sam2.1-hiera-large": ((_ANY, 30.8),),
}
"""By network, seconds an expression-frame of checkpoints of at most so many bytes, the smaller ones first."""


@runtime_checkable
class RunsNetwork(Protocol):
    """A node whose time is that of a network."""

    def network(self) -> tuple[str, Path | None, int] | None:
        """Return the network's name, its checkpoint, and how many times every frame passes through it; None: none."""


def find_usual_speed(node: Node) -> float | None:
    """Return seconds an expression-frame; None for networks that were not measured, and for nodes without one."""
    runs = capability(node, RunsNetwork)
    found = None if runs is None else runs.network()
    if found is None:
        return None
    name, checkpoint, n_passes = found
    size = os.path.getsize(checkpoint) if checkpoint is not None and checkpoint.is_file() else _ANY
    return next((seconds * n_passes for most, seconds in USUAL.get(name, ()) if size <= most), None)
