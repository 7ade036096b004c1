"""A fusion as a node."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path
from typing import Annotated, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from fusion.fitted_files import read_fitted
from fusion.fitting import PairFit
from fusion.groups import Group, read_group_file
from fusion.member_masks import MemberMasks
from fusion.rules import FusionMethod, FusionRule, SinglesRule, fuse_video
from fusion.runs import RunRule, group_by_runs
from fusion.scores import ScoreRule
from fusion.thresholds import Threshold
from rvos.errors import ConfigError
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.settings import Given, Key, Range, nearest, show
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import HARD_MASKS, MASKS, Artefact, ReadArtefact
from rvos_fusion.kinds.base import Node, NodeFile, NodeGraph, Task
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.groups.grouping import GroupSettings, find_groups, given_groups, read_run_rule, write_review
from rvos_fusion.kinds.inputs import Input, MasksOf
from rvos_fusion.kinds.offers import Offer, offer_members
from rvos_fusion.kinds.plain import plain
from rvos_fusion.kinds.score_scales import find_score_scale

Values = NDArray[np.float64]
_LARGEST_GROUP = {"neighbours": 2, "none": 1}
"""Expressions of a group where the rule alone tells."""


@dataclass(frozen=True, slots=True)
class _Singles:
    threshold: Threshold | None = None
    only: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FuseNode(Node):
    """Members combined expression by expression or group by group.

    Args:
        members: nodes that are combined.
        method: see `fusion.rules.FusionRule`, as `threshold` and `scores`.
        weights: of members, 1 where none is given.
        singles: rule of groups of one; members are named.
        own_groups: which expressions belong together; None: as for the whole recipe.
        capacity: for `assign`, groups that may share an object; None: as the data set and the groups have it.
        fitted: file of `rvos fit` that makes the members' scores into chances; None: weights count.
        recipe_groups: the groups of the whole recipe.
        overlapping: sentences of the data set may mean several objects, so that different groups share some.
        groups: which expressions belong together.
        rule: how members are combined.
    """

    keyword: ClassVar[str] = "fuse"
    kind: ClassVar[str] = "fuse"
    artefact: ClassVar[Artefact] = MASKS

    members: Annotated[tuple[MasksOf, ...], Key("fuse")]
    method: FusionMethod = "votes"
    threshold: Threshold | None = None
    weights: Mapping[str, Fraction] = field(default_factory=dict)
    singles: _Singles | None = None
    scores: ScoreRule = "first"
    own_groups: Annotated[GroupSettings | None, Key("groups")] = None
    capacity: Literal["any"] | Annotated[int, Range(least=1)] | None = None
    fitted: Path | None = None
    recipe_groups: Annotated[GroupSettings, Given("groups")]
    overlapping: Annotated[bool, Given("overlapping")] = False
    groups: GroupSettings = field(init=False)
    rule: FusionRule = field(init=False)

    def __post_init__(self) -> None:
        for member in self.weights:
            if member not in self.members:
                raise ConfigError(f"weights: unknown key {show(member)}; {nearest(member, self.members)}")
        only = self.singles.only if self.singles else None
        if only is not None and only not in self.members:
            raise ConfigError(f"singles.only {show(only)} is unknown; {nearest(only, self.members)}")
        for key, methods in (("capacity", ("assign",)), ("fitted", ("assign", "best"))):
            if getattr(self, key) is not None and self.method not in methods:
                raise ConfigError(f"{key}: only for method {' or '.join(methods)}; remove it")
        object.__setattr__(self, "groups", self._choose_groups())
        object.__setattr__(self, "rule", self._make_rule())

    def _choose_groups(self) -> GroupSettings:
        if self.method != "conditional_union":
            return self.own_groups or self.recipe_groups
        # A conditional union knows no groups: the areas of two sentences' masks say nothing about each other.
        if self.own_groups is not None and self.own_groups.by != "none":
            raise ConfigError("conditional_union takes every sentence on its own; remove groups")
        return GroupSettings("none")

    def _make_rule(self) -> FusionRule:
        # Fractions, so that votes are counted in whole units and no threshold misses its own tie.
        weights = tuple(self.weights.get(member, Fraction(1)) for member in self.members)
        singles, capacity = None, self.capacity
        if self.singles is not None:
            only = self.singles.only
            singles = SinglesRule(self.singles.threshold, None if only is None else self.members.index(only))
        if capacity is None and not self.overlapping:
            # Without groups two sentences usually mean one object.
            capacity = 2 if self.groups.by == "none" else 1
        number = None if capacity == "any" else capacity
        return FusionRule(weights, self.method, self.threshold, singles, self.scores, capacity=number)

    def reads(self) -> tuple[Input, ...]:
        """The members, then the nodes that decide the groups."""
        soft = "average" if self.method == "average" else ""
        members = [Input(name, "fuse", MASKS, soft, hard_will_do=True) for name in self.members]
        return (*members, *(Input(name, "groups.members", MASKS) for name in self.groups.deciding))

    def files(self) -> tuple[NodeFile, ...]:
        """The group file, and what was fitted."""
        advice = "no such file; make it with rvos fit, or correct the path"
        fitted = [
            NodeFile(path, "fitted file", advice, "settings") for path in (self.fitted, self._fitted_groups()) if path
        ]
        if self.groups.by != "file" or self.groups.file is None:
            return tuple(fitted)
        return (NodeFile(self.groups.file, "group file", "no such group file; correct groups.file", "data"), *fitted)

    def settings(self) -> object:
        """Members and rule; how groups are found counts only where masks decide, else the groups themselves do."""
        deciding: list[object] | None = None
        if self.groups.by == "agreement":
            deciding = ["agreement", self.groups.members, self.groups.threshold]
        elif self.groups.by == "runs":
            deciding = ["runs", self.groups.members, self.groups.lengths]
        return [list(self.members), plain(self.rule), plain(deciding)]

    def sources(self, video: Video, checksums: Checksums) -> object:
        """The groups that the data or a file give: the same groups by another rule give the same masks."""
        # Not the file of groups as a whole: a corrected line makes again what it concerns and no other video.
        return [group.expressions for group in self.given_groups(video) or ()]

    def check(self, nodes: NodeGraph) -> Iterable[str]:
        """Check that no member votes twice, that their values can be compared, and every threshold be reached."""
        for name in sorted({name for name in self.members if self.members.count(name) > 1}):
            yield f"member {name!r} is named twice; use weights instead"
        if self.rule.method == "best":
            yield from self._check_scales(nodes)
        yield from self._check_order_members(nodes)
        size = _LARGEST_GROUP.get(self.groups.by)
        if size is not None and not self.rule.can_pass(size):
            yield self._explain_reach(size, f"with groups by {self.groups.by}")
        if self.rule.singles is not None and not self.rule.can_pass(1):
            yield self._explain_reach(1, "by the rule for singles")

    def check_videos(self, videos: Sequence[Video]) -> Iterable[str]:
        """Check that the data give groups, and that their votes can reach the threshold."""
        if self.fitted is not None:
            self.working_rule()
        if self.groups.by == "runs":
            read_run_rule(self.groups)
        lacking = [video.id for video in videos if any(not e.object_ids and e.has_target for e in video.expressions)]
        if self.groups.by == "object_id" and lacking:
            yield (
                f"groups by object_id: {len(lacking)} videos have expressions without obj_id, first {lacking[0]}; "
                "group by runs or neighbours"
            )
            return
        if self.groups.by == "file":
            assert self.groups.file is not None
            read_group_file(self.groups.file, videos)
        for video in videos:
            if self.groups.deciding and not self.rule.can_pass(len(video.expressions)):
                yield self._explain_reach(len(video.expressions), f"all of video {video.id}")
                return
            for group in self.given_groups(video) or ():
                if not self.rule.can_pass(len(group.expressions)):
                    yield self._explain_reach(len(group.expressions), f"as in video {video.id}")
                    return

    def describe(self) -> str:
        """Members and rule."""
        threshold = f", threshold {self.rule.threshold}" if self.rule.threshold else ""
        return f"fuses {', '.join(self.members)} by {self.rule.method}{threshold}, groups by {self.groups.by}"

    def detail(self) -> str:
        """The rule."""
        threshold = f", threshold {self.rule.threshold}" if self.rule.threshold else ""
        return f"{self.rule.method}{threshold}"

    def passes_scores_of(self) -> str | None:
        """The first member where its scores are passed on."""
        return self.members[0] if self.rule.scores == "first" else None

    def order_members(self) -> tuple[str, ...]:
        """The nodes that decide the runs."""
        return self.groups.members if self.groups.by == "runs" else ()

    def without_order(self) -> Node:
        """Every sentence on its own; two of them may then mean one object."""
        capacity: int | Literal["any"] = "any" if self.rule.capacity is None else max(self.rule.capacity, 2)
        return replace(self, own_groups=GroupSettings("none"), capacity=capacity if self.method == "assign" else None)

    def unfitted(self) -> Node:
        """The same fusion with weights and the built-in numbers."""
        return replace(self, fitted=None, own_groups=replace(self.groups, fitted=None))

    def cut_runs(self, video: Video, hits: Values, pairs: PairFit | None) -> tuple[Group, ...]:
        """Return the groups by runs under a fit; None: the built-in numbers."""
        rule = RunRule(self.groups.lengths) if pairs is None else RunRule(self.groups.lengths, pairs.slope, pairs.even)
        return group_by_runs(hits, [expression.id for expression in video.expressions], rule)

    def fitted_file(self) -> Path | None:
        """Return the file of fitted numbers that the recipe names."""
        return self.fitted or self._fitted_groups()

    def chooses_from(self) -> tuple[str, ...]:
        """The members."""
        return self.members

    def offers(self, video: Video, read: ReadArtefact) -> Iterable[Offer]:
        """Return what could be made of its members."""
        return offer_members(video, [by_expression(read(name, HARD_MASKS)) for name in self.members])

    def given_groups(self, video: Video) -> tuple[Group, ...] | None:
        """Return the groups that the data or a file give; None where masks decide.

        Raises:
            InputError: they do not give them.
        """
        return given_groups(self.groups, video)

    def find_groups(self, video: Video, read: Callable[[str], Iterable[MaskSequence]]) -> tuple[Group, ...]:
        """Return the groups of a video.

        Args:
            read: returns the stored masks of a node for this video; asked only where masks decide.

        Raises:
            InputError: the data or the file do not give them.
        """
        return find_groups(self.groups, video, read)

    def make(self, task: Task) -> list[MaskSequence]:
        """Return the fused masks of all expressions, in the order of the video."""
        soft = self.rule.method == "average"
        members = [by_expression(task.read(name, soft=soft)) for name in self.members]
        masks = None
        if self._groups_by_own():
            ids = [expression.id for expression in task.video.expressions]
            masks = MemberMasks.read(members, ids)
            groups = group_by_runs(masks.count_hits(), ids, read_run_rule(self.groups))
        else:
            groups = self.find_groups(task.video, task.read)
        # What data or a file state needs nobody's review.
        if self.groups.deciding:
            write_review(task, groups)
        # Fused group by group, returned in the order of the video: stored parts must not depend on the grouping.
        fused = by_expression(fuse_video(members, groups, self.working_rule(), names=self.members, masks=masks))
        return [fused[expression.id] for expression in task.video.expressions]

    def working_rule(self) -> FusionRule:
        """Return the rule with what was fitted.

        Raises:
            InputError: a fitted file that cannot be used, or is for other members.
        """
        if self.fitted is None:
            return self.rule
        return replace(self.rule, fits=read_fitted(self.fitted).fits_of(self.members, str(self.fitted)))

    def _groups_by_own(self) -> bool:
        """Tell whether the masks that decide the groups are those that are assigned, so that both compare them once."""
        same = set(self.groups.members) == set(self.members)
        return self.groups.by == "runs" and self.rule.method == "assign" and same

    def _fitted_groups(self) -> Path | None:
        return self.groups.fitted if self.groups.by == "runs" else None

    def _check_scales(self, nodes: NodeGraph) -> Iterable[str]:
        """Yield why `best` cannot compare: scores of one network say nothing against those of another."""
        scales = {name: find_score_scale(nodes, name) for name in self.members}
        without = [name for name, scale in scales.items() if scale is None]
        if without:
            yield f"best compares scores, and {', '.join(without)} has none; fuse by votes"
        elif len(set(scales.values())) > 1 and self.fitted is None:
            yield (
                f"best compares scores, and those of {', '.join(self.members)} are of different scales "
                f"({', '.join(dict.fromkeys(map(str, scales.values())))}); name members of one network, "
                "or give 'fitted', a file of rvos fit"
            )

    def _check_order_members(self, nodes: NodeGraph) -> Iterable[str]:
        if self.groups.by != "runs":
            return
        if len(set(self.groups.members)) < 2:
            yield "groups by runs compare members with each other; name at least two in groups.members"
        for name in self.groups.members:
            if any(isinstance(node, FuseNode) and node.order_members() for node in nodes.below(name)):
                yield f"groups by runs need masks of single sentences, and {name!r} stands on runs itself; name others"

    def _explain_reach(self, group_size: int, where: str) -> str:
        total, needed = self.rule.count_votes(group_size)
        what = "a group of one expression" if group_size == 1 else f"a group of {group_size} expressions"
        advice = "lower the threshold or add a rule for singles" if group_size == 1 else "lower the threshold"
        return f"{what}, {where}, has {self._in_votes(total)} votes but needs {self._in_votes(needed)}; {advice}"

    def _in_votes(self, scaled: int) -> str:
        """Return votes as the recipe counts them; the rule counts in whole units of the weights."""
        total = sum(self.rule.weights)
        scaled_total = self.rule.count_votes(1)[0]
        return str(float(scaled * total / scaled_total)).removesuffix(".0")
