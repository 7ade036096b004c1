"""A referring network as a node."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from functools import lru_cache

from pipeline.devices import choose_device
from pipeline.recipe import MemberNode
from pipeline.tasks import Task
from runners.base import Runner
from runners.registry import build_runner
from rvos.mask_sequences import MaskSequence


def compute(task: Task) -> Sequence[MaskSequence]:
    """Return the masks of all expressions."""
    assert isinstance(task.node, MemberNode)
    runner = _load(pickle.dumps(task.node.settings), task.device)
    return list(runner.segment(task.video, task.video.expressions))


@lru_cache(maxsize=1)
def _load(settings: bytes, device: str) -> Runner:
    """Return the loaded runner: once for each node and worker, and only one at a time."""
    return build_runner(pickle.loads(settings), device=choose_device(device))
