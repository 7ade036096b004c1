"""How well tracklets fit sentences by their overlap with the masks of members: no training, no text.

Source: tracklets.md, section 6.2.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from fusion.votes import vote
from propagate.tracklets import score_agreement
from rvos.masks.grounding import Scores
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.masks.tracklets import TrackletSet
from rvos_fusion.kinds.base import Task


def score_by_members(
    members: Sequence[str], weights: Mapping[str, float], task: Task, tracklets: TrackletSet
) -> Scores:
    """Return the scores `(E, P)` of tracklets for a task's sentences by members, of weight 1 where none is given."""
    own = [tracklet.as_runs() for tracklet in tracklets.tracklets]
    masks = [by_expression(task.read(name)) for name in members]
    for name, member in zip(members, masks, strict=True):
        for sequence in member.values():
            advice = f"make the masks of {name} or the tracklets again"
            sequence.check_fits(task.video, tracklets.size, advice=advice)
    shares = tuple(weights.get(name, 1.0) for name in members)
    rows = [
        score_agreement(own, [member[expression.id].as_runs() for member in masks], shares)
        for expression in task.video.expressions
    ]
    return np.array(rows, np.float64).reshape(len(rows), len(own))


def vote_members(members: Sequence[str], task: Task) -> dict[str, MaskSequence]:
    """Return the members' majority for every sentence of a task's video; a tie passes."""
    masks = [by_expression(task.read(name)) for name in members]
    needed = -(-len(masks) // 2)
    found = {}
    for expression in task.video.expressions:
        own = [member[expression.id] for member in masks]
        found[expression.id] = replace(own[0], runs=vote(own, needed=needed).encode(), propagation=None)
    return found
