"""Votes of a recipe's fusion by many rules, scored from one count: what fits try, by the hundreds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, runtime_checkable

import numpy as np

from fusion.groups import Group
from fusion.methods.votes import Votes
from fusion.rules import FusionRule
from fusion.sweeps import Setting, count_member_votes, score_settings
from fusion.votes import check_alike
from rvos.evaluation.expressions import ExpressionJudge
from rvos.masks.mask_sequences import MaskSequence
from rvos.videos import Video
from rvos_fusion.kinds.base import capability
from rvos_fusion.scores.scoring import Named, ScoringTask, Values, judge_masks


class Fusing(Named, Protocol):
    """How a node combines members, by whatever method."""

    @property
    def members(self) -> tuple[str, ...]:
        """The nodes that vote, in the order of the rule's weights."""

    @property
    def rule(self) -> FusionRule:
        """The method and its settings."""

    def given_groups(self, video: Video) -> tuple[Group, ...] | None:
        """Return the groups that vote together, None where only masks tell; InputError where data or file lack them."""

    def find_groups(self, video: Video, read: Callable[[str], Iterable[MaskSequence]]) -> tuple[Group, ...]:
        """Return them; `read` returns the stored masks of a node for this video. Raises as `given_groups`."""


@runtime_checkable
class Ballot(Fusing, Protocol):
    """How a node votes: what sweeps and the report count."""

    @property
    def rule(self) -> Votes:
        """Weights and thresholds."""


def find_ballot(node: object) -> Ballot | None:
    """Return how a node votes; None where nothing is counted."""
    found = capability(node, Ballot)
    return found if found is not None and isinstance(found.rule, Votes) else None


def sweep_video(task: ScoringTask, node: Fusing, groups: Sequence[Group], settings: Sequence[Setting]) -> Values:
    """Return J and F of every setting and unit of the data set's protocol, `(settings, units, 2)`."""
    members = [task.results.by_expression(name) for name in node.members]
    votes = []
    for group in groups:
        own = [[member[expression] for expression in group.expressions] for member in members]
        for sequences in zip(*own, strict=True):
            check_alike(sequences, node.members)
        present = [sum(not one.abstains for one in part) for part in own]
        votes.append((group, count_member_votes([[one.as_runs() for one in part] for part in own], present)))
    judge = task.truth.open()
    if not isinstance(judge, ExpressionJudge):

        def fuse(setting: Setting) -> Iterator[tuple[MaskSequence, tuple[bytes, ...]]]:
            for group, counted in votes:
                runs = counted.keep(setting).encode()
                yield from ((members[0][expression], runs) for expression in group.expressions)

        return np.stack([judge_masks(judge, fuse(setting)) for setting in settings])
    # Where expressions are scored one by one, the outlines of a group's masks serve all of them.
    order = {expression.id: index for index, expression in enumerate(task.video.expressions)}
    values = np.empty((len(settings), len(order), 2))
    for group, counted in votes:
        known = [expression for expression in group.expressions if expression in order]
        if not known:
            continue
        places = [order[expression] for expression in known]
        truths = [judge.trace_for(members[0][expression]) for expression in known]
        values[:, places] = score_settings(counted, settings, truths, judge.void)
    return values
