"""A fusion as a node."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Literal

import yaml

from fusion.groups import Group, group_by_agreement, group_by_object, group_neighbours, group_none, read_group_file
from fusion.rules import FUSION_METHODS, FusionRule, SinglesRule, fuse_video
from fusion.scores import SCORE_RULES
from fusion.thresholds import Threshold
from fusion.votes import read_runs
from pipeline.checksums import Checksums
from pipeline.kinds.artefacts import MASKS, Artefact
from pipeline.kinds.base import Ballot, Node, NodeFile, Task, WorkerKey, plain
from pipeline.recipe.entry import NodeEntry
from pipeline.recipe.groups import read_groups
from pipeline.recipe.values import GroupsEntry
from rvos.errors import PipelineError
from rvos.files import write_atomically
from rvos.mask_sequences import MaskSequence
from rvos.videos import Video

_KEYS = ("fuse", "method", "threshold", "weights", "singles", "scores", "groups")
_LARGEST_GROUP = {"neighbours": 2, "none": 1}
"""Expressions of a group where the rule alone tells."""


@dataclass(frozen=True, slots=True)
class FuseNode(Node):
    """Members combined expression by expression or group by group."""

    keyword: ClassVar[str] = "fuse"
    kind: ClassVar[str] = "fuse"
    section: ClassVar[Literal["models", "stages"]] = "stages"
    artefact: ClassVar[Artefact] = MASKS

    members: tuple[str, ...]
    rule: FusionRule
    groups: GroupsEntry

    @classmethod
    def read(cls, entry: NodeEntry) -> Node | None:
        """Read the entry."""
        values, text, where = entry.read_keys(_KEYS, needed=("fuse",)), entry.text, entry.where
        members = text.texts(values["fuse"], f"{where}.fuse")
        groups = read_groups(text, values["groups"], f"{where}.groups") if "groups" in values else entry.groups
        fields: dict[str, Any] = {"weights": _read_weights(entry, values.get("weights"), members)}
        for key, choices in (("method", FUSION_METHODS), ("scores", SCORE_RULES)):
            if key in values:
                fields[key] = text.choice(values[key], f"{where}.{key}", choices)
        if "threshold" in values:
            fields["threshold"] = _read_threshold(entry, values["threshold"], f"{where}.threshold")
        if "singles" in values:
            fields["singles"] = _read_singles(entry, values["singles"], members)
        if any(value is None for value in fields.values()):
            return None
        try:
            return cls(entry.name, entry.line, entry.stage, members, FusionRule(**fields), groups)
        except PipelineError as error:
            text.problems.add(entry.mapping, f"{where}: {error}")
            return None

    def inputs(self) -> tuple[str, ...]:
        """The members, then the nodes that decide the groups."""
        deciding = self.groups.members if self.groups.by == "agreement" else ()
        return tuple(dict.fromkeys((*self.members, *deciding)))

    def files(self) -> tuple[NodeFile, ...]:
        """The group file."""
        if self.groups.file is None:
            return ()
        return (NodeFile(self.groups.file, "group file", "no such group file; correct groups.file", "data"),)

    def settings(self) -> object:
        """Members and rule; how groups are found counts only where masks decide, else the groups themselves do."""
        agreement = [self.groups.members, self.groups.threshold] if self.groups.by == "agreement" else None
        return [list(self.members), plain(self.rule), agreement]

    def sources(self, video: Video, checksums: Checksums) -> object:
        """The groups that the data or a file give: the same groups by another rule give the same masks."""
        return [group.expressions for group in self.given_groups(video) or ()]

    def check(self, nodes: Mapping[str, Node]) -> Iterable[str]:
        """Check that no member votes twice, and that every threshold can be reached."""
        for name in sorted({name for name in self.members if self.members.count(name) > 1}):
            yield f"member {name!r} is named twice; use weights instead"
        size = _LARGEST_GROUP.get(self.groups.by)
        if size is not None and not self.rule.can_pass(size):
            yield self._explain_reach(size, f"with groups by {self.groups.by}")
        if self.rule.singles is not None and not self.rule.can_pass(1):
            yield self._explain_reach(1, "by the rule for singles")

    def check_videos(self, videos: Sequence[Video]) -> Iterable[str]:
        """Check that the data give groups, and that their votes can reach the threshold."""
        lacking = [video.id for video in videos if any(not expression.object_ids for expression in video.expressions)]
        if self.groups.by == "object_id" and lacking:
            yield (
                f"groups by object_id: {len(lacking)} videos have expressions without obj_id, first {lacking[0]}; "
                "group by agreement or neighbours"
            )
            return
        if self.groups.by == "file":
            assert self.groups.file is not None
            read_group_file(self.groups.file, videos)
        for video in videos:
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

    def worker_key(self) -> WorkerKey | None:
        """Nothing."""
        return None

    def compute(self, tasks: Sequence[Task]) -> Sequence[Sequence[MaskSequence]]:
        """Return the fused masks of all expressions, in the order of the video."""
        return [self._fuse(task) for task in tasks]

    def ballot(self) -> Ballot | None:
        """Return itself where it counts votes."""
        return self if self.rule.method == "votes" else None

    def given_groups(self, video: Video) -> tuple[Group, ...] | None:
        """Return the groups that the data or a file give; None where masks decide.

        Raises:
            InputError: they do not give them.
        """
        if self.groups.by == "agreement":
            return None
        if self.groups.by == "file":
            assert self.groups.file is not None
            return read_group_file(self.groups.file, [video])[video.id]
        return {"object_id": group_by_object, "neighbours": group_neighbours, "none": group_none}[self.groups.by](video)

    def find_groups(self, video: Video, read: Callable[[str], Iterable[MaskSequence]]) -> tuple[Group, ...]:
        """Return the groups of a video.

        Args:
            read: returns the stored masks of a node for this video; asked only where masks decide.

        Raises:
            InputError: the data or the file do not give them.
        """
        given = self.given_groups(video)
        if given is not None:
            return given
        deciding = [
            {sequence.expression: read_runs(sequence) for sequence in read(name)} for name in self.groups.members
        ]
        ids = [expression.id for expression in video.expressions]
        return group_by_agreement(deciding, ids, threshold=self.groups.threshold)

    def _fuse(self, task: Task) -> list[MaskSequence]:
        soft = self.rule.method == "average"
        members = [_by_expression(task.read(name, soft=soft)) for name in self.members]
        groups = self.find_groups(task.video, task.read)
        if self.groups.by == "agreement":
            _write_review(task, groups)
        fused = _by_expression(fuse_video(members, groups, self.rule, names=self.members))
        return [fused[expression.id] for expression in task.video.expressions]

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


def _by_expression(sequences: Iterable[MaskSequence]) -> dict[str, MaskSequence]:
    return {sequence.expression: sequence for sequence in sequences}


def _write_review(task: Task, groups: Sequence[Group]) -> None:
    """Write what masks decided: `rvos run` gathers it into a table for people to correct."""
    texts = {expression.id: expression.text for expression in task.video.expressions}
    review = [
        {"expressions": {name: texts[name] for name in group.expressions}, "confidence": group.confidence}
        for group in groups
    ]
    path = task.workspace / "groups" / f"{task.video.id}.json"
    write_atomically(path, json.dumps(review, indent=1, ensure_ascii=False).encode())


def _read_threshold(entry: NodeEntry, node: yaml.Node, what: str) -> Threshold | None:
    return entry.text.convert(node, what, Threshold.parse, "a threshold")


def _read_singles(entry: NodeEntry, node: yaml.Node, members: tuple[str, ...]) -> SinglesRule | None:
    text, what = entry.text, f"{entry.where}.singles"
    values = text.section(node, what, known=("threshold", "only"))
    threshold = _read_threshold(entry, values["threshold"], f"{what}.threshold") if "threshold" in values else None
    only = text.choice(values["only"], f"{what}.only", members) if "only" in values else None
    if (threshold is None and "threshold" in values) or (only is None and "only" in values):
        return None
    try:
        return SinglesRule(threshold, None if only is None else members.index(only))
    except PipelineError as error:
        text.problems.add(node, f"{what}: {error}")
        return None


def _read_weights(entry: NodeEntry, node: yaml.Node | None, members: tuple[str, ...]) -> tuple[Fraction, ...] | None:
    if node is None:
        return (Fraction(1),) * len(members)
    what = f"{entry.where}.weights"
    values = entry.text.section(node, what, known=members)
    read = {key: entry.text.convert(value, f"{what}.{key}", Fraction, "a number") for key, value in values.items()}
    given = {key: value for key, value in read.items() if value is not None}
    return tuple(given.get(member, Fraction(1)) for member in members) if len(given) == len(read) else None
