"""A fusion as a node."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations, pairwise
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from numpy.typing import NDArray

from fusion.fitting import PairFit
from fusion.groups import Group, doubt_apart, read_group_file
from fusion.member_masks import MemberMasks
from fusion.methods.fitted import FittedRule
from fusion.methods.singles import RuleWithSingles
from fusion.methods.table import METHODS
from fusion.rules import FusionRule, fuse_video_by_all
from fusion.runs import RunRule, group_by_runs
from fusion.votes import read_members
from rvos.errors import ConfigError
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.settings import Chosen, Flat, Given, Key, count
from rvos.videos import Video
from rvos_fusion.kinds.abstentions import list_abstaining
from rvos_fusion.kinds.artefacts import HARD_MASKS, MASKS, ReadArtefact
from rvos_fusion.kinds.base import Node, NodeFile, NodeGraph, Task
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.groups.grouping import GroupSettings, find_groups, given_groups, read_run_rule, write_review
from rvos_fusion.kinds.inputs import Input, MasksOf
from rvos_fusion.kinds.offers import Offer, offer_members
from rvos_fusion.kinds.plain import plain, plain_fields
from rvos_fusion.kinds.score_scales import find_score_scale
from rvos_fusion.kinds.trials import Choice

Values = NDArray[np.float64]
_LARGEST_GROUP = {"neighbours": 2, "none": 1}
"""Expressions of a group where the rule alone tells."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FuseNode(Node):
    """Members combined expression by expression or group by group.

    Args:
        members: nodes that are combined.
        rule: how; the key `method` says which class of `fusion.methods` it is.
        own_groups: which expressions belong together; None: as for the whole recipe.
        recipe_groups: the groups of the whole recipe.
        overlapping: sentences of the data set may mean several objects, so that different groups share some.
        groups: which expressions belong together.
    """

    keyword: ClassVar[str] = "fuse"
    kind: ClassVar[str] = "fuse"

    members: Annotated[tuple[MasksOf, ...], Key("fuse")]
    rule: Annotated[FusionRule, Flat(), Chosen("method", METHODS, "votes")]
    own_groups: Annotated[GroupSettings | None, Key("groups")] = None
    recipe_groups: Annotated[GroupSettings, Given("groups")]
    overlapping: Annotated[bool, Given("overlapping")] = False
    groups: GroupSettings = field(init=False)

    def __post_init__(self) -> None:
        groups = self.own_groups or self.recipe_groups
        if not self.rule.takes_groups:
            if self.own_groups is not None and self.own_groups.by != "none":
                raise ConfigError(f"{self.rule.method} takes every sentence on its own; remove groups")
            groups = GroupSettings("none")
        object.__setattr__(self, "groups", groups)
        rule = self.rule.settle(grouped=groups.by != "none", overlapping=self.overlapping)
        object.__setattr__(self, "rule", rule)

    def reads(self) -> tuple[Input, ...]:
        soft = self.rule.method if self.rule.needs_soft else ""
        members = [Input(name, "fuse", MASKS, soft, hard_will_do=True) for name in self.members]
        return (*members, *(Input(name, "groups.members", MASKS) for name in self.groups.deciding))

    def files(self) -> tuple[NodeFile, ...]:
        advice = "no such file; make it with rvos fit, or correct the path"
        paths = (self._fitted_scores(), self._fitted_groups())
        fitted = [NodeFile(path, "fitted file", advice, "settings") for path in paths if path]
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
        return {**plain_fields(self.rule), "method": self.rule.method, "deciding": plain(deciding)}

    def sources(self, video: Video, checksums: Checksums) -> object:
        """The groups that the data or a file give: the same groups by another rule give the same masks."""
        # Not the file of groups as a whole: a corrected line makes again what it concerns and no other video.
        return [group.expressions for group in self.given_groups(video) or ()]

    def check(self, nodes: NodeGraph) -> Iterable[str]:
        for name in sorted({name for name in self.members if self.members.count(name) > 1}):
            yield f"member {name!r} is named twice; use weights instead"
        if self.rule.compares_scores:
            yield from self._check_scales(nodes)
        yield from self._check_order_members(nodes)
        yield from self._check_abstaining(nodes)
        size = _LARGEST_GROUP.get(self.groups.by)
        if size is not None and (problem := self.rule.explain_reach(size, f"with groups by {self.groups.by}")):
            yield problem
        yield from self.rule.check()

    def check_videos(self, videos: Sequence[Video]) -> Iterable[str]:
        self.rule.read_fits()
        if self.groups.by == "runs":
            read_run_rule(self.groups)
        lacking = [video.id for video in videos if any(not e.object_ids and e.has_target for e in video.expressions)]
        if self.groups.by == "object_id" and lacking:
            yield (
                f"groups by object_id: {count(len(lacking), 'video has', 'videos have')} "
                f"expressions without obj_id, first {lacking[0]}; "
                "group by runs or neighbours"
            )
            return
        if self.groups.by == "neighbours" and (problem := _explain_pairs(videos)):
            yield problem
        if self.groups.by == "file":
            assert self.groups.file is not None
            read_group_file(self.groups.file, videos)
        for video in videos:
            sizes = {len(group.expressions): f"as in video {video.id}" for group in self.given_groups(video) or ()}
            if self.groups.deciding:
                sizes = {len(video.expressions): f"all of video {video.id}"}
            for size, where in sizes.items():
                if problem := self.rule.explain_reach(size, where):
                    yield problem
                    return

    def describe(self) -> str:
        return f"fuses {', '.join(self.members)} by {self.rule.describe()}, groups by {self.groups.by}"

    def detail(self) -> str:
        return self.rule.describe()

    def passes_scores_of(self) -> str | None:
        return self.members[0] if self.rule.scores == "first" else None

    def order_members(self) -> tuple[str, ...]:
        return self.groups.members if self.groups.by == "runs" else ()

    def without_order(self) -> Node:
        """Every sentence on its own; two of them may then mean one object."""
        return replace(self, own_groups=GroupSettings("none"), rule=self.rule.ungrouped())

    def unfitted(self) -> Node:
        """The same fusion with weights and the built-in numbers."""
        rule = replace(self.rule, fitted=None) if isinstance(self.rule, FittedRule) else self.rule
        return replace(self, rule=rule, own_groups=replace(self.groups, fitted=None))

    def cut_runs(self, video: Video, hits: Values, pairs: PairFit | None) -> tuple[Group, ...]:
        """Return the groups by runs under a fit; None: the built-in numbers."""
        rule = RunRule(self.groups.lengths) if pairs is None else RunRule(self.groups.lengths, pairs.slope, pairs.even)
        return group_by_runs(hits, [expression.id for expression in video.expressions], rule)

    def fitted_file(self) -> Path | None:
        return self._fitted_scores() or self._fitted_groups()

    def chooses_from(self) -> tuple[str, ...]:
        return self.members

    def offers(self, video: Video, read: ReadArtefact) -> Iterable[Offer]:
        """Return what could be made of its members."""
        return offer_members(video, [by_expression(read(name, HARD_MASKS)) for name in self.members])

    def given_groups(self, video: Video) -> tuple[Group, ...] | None:
        """Return the groups that the data or a file give, as the function of this name does."""
        return given_groups(self.groups, video)

    def find_groups(self, video: Video, read: Callable[[str], Iterable[MaskSequence]]) -> tuple[Group, ...]:
        """Return the groups of a video, as the function of this name does."""
        return find_groups(self.groups, video, read)

    def guessed_pairs(self, video: Video) -> Sequence[tuple[str, str]]:
        """Return sentences that the order or a file puts together, which masks may contradict."""
        groups = self.given_groups(video) if self.groups.by in ("neighbours", "file") else None
        return [pair for group in groups or () for pair in pairwise(group.expressions)]

    @property
    def cheap(self) -> tuple[str, ...]:
        """The setting of the rule that is cheap to try."""
        return (self.rule.cheap,) if self.rule.cheap else ()

    def list_values(self, key: str, tasks: Iterable[Task]) -> Sequence[str]:
        """Return those that are worth a try with the groups of the videos."""
        return self.rule.list_values(self._list_sizes(tasks))

    def own_value(self, key: str) -> str:
        """Return the rule's own."""
        return self.rule.own_value()

    def list_subsets(self, tasks: Iterable[Task]) -> list[Choice]:
        """Return every subset with every threshold; groups of one then take the share of all others."""
        whole: FusionRule = self.rule
        without: dict[str, str] = {}
        if isinstance(whole, RuleWithSingles) and whole.singles is not None:
            whole, without = replace(whole, singles=None), {"singles": "null"}
        sizes, found = self._list_sizes(tasks), list[Choice]()
        for n_members in range(1, len(self.members) + 1):
            for names in combinations(self.members, n_members):
                weights = {name: weight for name, weight in whole.weights.items() if name in names}
                chosen = {"fuse": json.dumps(names), **without}
                if whole.weights:
                    chosen["weights"] = json.dumps({name: str(weight) for name, weight in weights.items()})
                values = replace(whole, members=names, weights=weights).list_values(sizes)
                found += [chosen | {whole.cheap: value} for value in values]
        return found

    def _list_sizes(self, tasks: Iterable[Task]) -> set[int]:
        """Return how many expressions groups have; where masks decide, one or two."""
        given = [self.given_groups(task.video) for task in tasks]
        return {len(group.expressions) for own in given for group in own or ()} or {1, 2}

    def make(self, task: Task) -> list[MaskSequence]:
        return self.compute([task])[0]

    def compute(self, tasks: Sequence[Task]) -> list[list[MaskSequence]]:
        """Return the fusions of a video by nodes that differ in their rule alone: members are read and counted once."""
        task, rules = tasks[0], [task.node.rule for task in tasks if isinstance(task.node, FuseNode)]
        members = [by_expression(task.read(name, soft=self.rule.needs_soft)) for name in self.members]
        masks = None
        # The masks that decide the groups may be those that are fused: they are read and compared once.
        if self.groups.by == "runs" and set(self.groups.members) == set(self.members):
            ids = [expression.id for expression in task.video.expressions]
            masks = MemberMasks.read(members, ids)
            groups = group_by_runs(masks.count_hits(), ids, read_run_rule(self.groups))
        else:
            groups = self.find_groups(task.video, task.read)
        if self.groups.deciding:
            write_review(task, groups)
        elif any(len(group.expressions) > 1 for group in groups):
            write_review(task, doubt_apart(groups, read_members([own.values() for own in members])))
        # Fused group by group, returned in the order of the video: stored parts must not depend on the grouping.
        made = zip(*fuse_video_by_all(members, groups, rules, masks=masks, fits=self.rule.read_fits()), strict=True)
        fused = [by_expression(own) for own in made]
        return [[own[expression.id] for expression in task.video.expressions] for own in fused]

    def _fitted_scores(self) -> Path | None:
        return self.rule.fitted if isinstance(self.rule, FittedRule) else None

    def _fitted_groups(self) -> Path | None:
        return self.groups.fitted if self.groups.by == "runs" else None

    def _check_scales(self, nodes: NodeGraph) -> Iterable[str]:
        """Yield why scores cannot be compared: scores of one network say nothing against those of another."""
        scales = {name: find_score_scale(nodes, name) for name in self.members}
        without = [name for name, scale in scales.items() if scale is None]
        if without:
            yield f"{self.rule.method} compares scores, and {', '.join(without)} has none; fuse by votes"
        elif len(set(scales.values())) > 1 and self._fitted_scores() is None:
            yield (
                f"{self.rule.method} compares scores, and those of {', '.join(self.members)} are of different scales "
                f"({', '.join(dict.fromkeys(map(str, scales.values())))}); name members of one network, "
                "or give 'fitted', a file of rvos fit"
            )

    def _check_abstaining(self, nodes: NodeGraph) -> Iterable[str]:
        """Yield what cannot do without members that may abstain."""
        for name in list_abstaining(nodes, self.groups.deciding):
            yield f"groups by {self.groups.by} need masks of every sentence, and {name!r} may abstain; name others"
        absent = list_abstaining(nodes, self.members)
        if absent and isinstance(self.rule, RuleWithSingles):
            singles = self.rule.singles
            if singles is not None and singles.only in absent:
                yield f"singles.only {singles.only!r} may abstain; give singles a threshold"
            stated = (self.rule.threshold, singles.threshold if singles else None)
            for one in (one for one in stated if one is not None and one.kind == "count"):
                share = f"{one} of {len(self.members)}"
                yield f"threshold {one} is a count, and {absent[0]!r} may abstain; write a part of the votes: {share}"

    def _check_order_members(self, nodes: NodeGraph) -> Iterable[str]:
        if self.groups.by != "runs":
            return
        if len(set(self.groups.members)) < 2:
            yield "groups by runs compare members with each other; name at least two in groups.members"
        for name in self.groups.members:
            if any(isinstance(node, FuseNode) and node.order_members() for node in nodes.below(name)):
                yield f"groups by runs need masks of single sentences, and {name!r} stands on runs itself; name others"


def _explain_pairs(videos: Sequence[Video]) -> str | None:
    """Return that neighbours are two objects by what the data say."""
    pairs = [
        (video, *pair)
        for video in videos
        for pair in zip(video.expressions[::2], video.expressions[1::2], strict=False)
    ]
    known = [(video, a, b) for video, a, b in pairs if a.object_ids and b.object_ids]
    apart = [(video, a, b) for video, a, b in known if set(a.object_ids).isdisjoint(b.object_ids)]
    if not apart:
        return None
    video, first, second = apart[0]
    return (
        f"groups by neighbours: two objects by their obj_id in {len(apart)} of {count(len(known), 'pair')}, first "
        f"{video.id}/{first.id} and {second.id}; group by object_id"
    )
