"""A fusion as a node."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from fusion.groups import Group, group_by_agreement
from fusion.rules import fuse_video
from fusion.votes import read_runs
from pipeline.recipe import FuseNode
from pipeline.tasks import Task, read_input
from rvos.files import write_atomically
from rvos.mask_sequences import MaskSequence


def compute(task: Task) -> Sequence[MaskSequence]:
    """Return the fused masks of all expressions, in the order of the video."""
    node = task.node
    assert isinstance(node, FuseNode)
    soft = node.rule.method == "average"
    members = [_by_expression(read_input(task, name, soft=soft)) for name in node.members]
    fused = _by_expression(fuse_video(members, find_groups(task, node), node.rule, names=node.members))
    return [fused[expression.id] for expression in task.video.expressions]


def find_groups(task: Task, node: FuseNode) -> tuple[Group, ...]:
    """Return the groups of the task's video; those found by agreement are also written for review."""
    if node.groups.by != "agreement":
        return task.groups
    deciding = [
        {sequence.expression: read_runs(sequence) for sequence in read_input(task, name)}
        for name in node.groups.members
    ]
    ids = [expression.id for expression in task.video.expressions]
    groups = group_by_agreement(deciding, ids, threshold=node.groups.threshold)
    texts = {expression.id: expression.text for expression in task.video.expressions}
    review = [
        {"expressions": {name: texts[name] for name in group.expressions}, "confidence": group.confidence}
        for group in groups
    ]
    path = task.workspace / "groups" / f"{task.video.id}.json"
    write_atomically(path, json.dumps(review, indent=1, ensure_ascii=False).encode())
    return groups


def _by_expression(sequences: Iterable[MaskSequence]) -> dict[str, MaskSequence]:
    return {sequence.expression: sequence for sequence in sequences}
