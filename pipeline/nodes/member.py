"""A referring network as a node."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline.devices import choose_device
from pipeline.nodes.loaded import NETWORK
from pipeline.recipe import MemberNode
from pipeline.tasks import Task
from runners.base import Runner
from runners.registry import build_runner
from rvos.mask_sequences import MaskSequence


def compute(task: Task) -> Sequence[MaskSequence]:
    """Return the masks of all expressions."""
    node = task.node
    assert isinstance(node, MemberNode)
    key = (node.settings, task.device)
    runner: Runner = NETWORK.get(key, lambda: build_runner(node.settings, device=choose_device(task.device)))
    return list(runner.segment(task.video, task.video.expressions))
