"""Where a report's results come from: the plan of a recipe, or a workspace alone, read whatever its settings were."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from fusion.groups import Group
from fusion.thresholds import scale_weights
from propagate.refinement import RefinementSettings, refine
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.masks.stored.store import Store
from rvos.masks.tracklets import Tracklet
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import CANDIDATES, INSTANCES, MASKS, Artefact, ReadArtefact
from rvos_fusion.kinds.base import Node, Task, capability
from rvos_fusion.kinds.grounding_report import Grounding
from rvos_fusion.kinds.refinement_report import RefinedExpression, build_report
from rvos_fusion.planning.results import Results, VideoResults
from rvos_fusion.planning.timings import read_seconds
from rvos_fusion.report.content import NodeContent, ReportNode
from rvos_fusion.scores.fitting import Combination
from rvos_fusion.scores.sweeping import Ballot, find_ballot

Sequences = Mapping[str, MaskSequence]
GroupVoters = tuple[Group, Mapping[str, frozenset[str]]]
"""A group, and by node the expressions that it has no vote on."""


@runtime_checkable
class ChoosesTracklets(Protocol):
    """A node that scores the tracklets of a video."""

    def read_grounding(self, task: Task) -> Grounding | None:
        """Return how it scored those of a task's video; None where nothing is known of it."""


@runtime_checkable
class Refiner(Protocol):
    """A node that refines masks by masklets."""

    @property
    def rules(self) -> RefinementSettings:
        """How masklets are selected."""

    def gather(self, video: Video, read: ReadArtefact) -> Iterable[RefinedExpression]:
        """Yield the coarse masks of every expression and what they have in common with the masklets of its noun."""


class VideoSide(ABC):
    """The results of one video on one side; small enough to be sent to another process.

    Names start with the side's. What a side does not know is empty.
    """

    @abstractmethod
    def sequences(self) -> dict[str, Sequences]:
        """Return the masks of every stored node by expression; StoreError where a stored result is damaged."""

    @abstractmethod
    def tracklets(self) -> dict[str, tuple[Tracklet, ...]]:
        """Return the instances of every node that stores some."""

    def members(self) -> tuple[str, ...]:
        """Return the nodes that read no others."""
        return ()

    def groups(self) -> dict[str, tuple[Group, ...]]:
        """Return the groups of every stored node that has some."""
        return {}

    def groundings(self) -> dict[str, Grounding]:
        """Return how nodes scored tracklets, as far as that was written down."""
        return {}

    def refinements(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the record of every refining node by expression; it is counted again from what is stored."""
        return {}


@dataclass(frozen=True)
class Side(ABC):
    """One side of a report; its nodes' names start with its own, which is empty where there is no other side."""

    name: str

    @property
    def prefix(self) -> str:
        """Stands before the names of its nodes."""
        return f"{self.name}/" if self.name else ""

    @abstractmethod
    def nodes(self) -> tuple[ReportNode, ...]:
        """Return the graph; a node is done when every video is stored."""

    @abstractmethod
    def of_video(self, video: str) -> VideoSide:
        """Return the results of a video."""

    @abstractmethod
    def advice(self) -> str:
        """Return what to do where nothing is stored."""

    def count_votes(self, node: str, given: Iterable[GroupVoters]) -> tuple[tuple[int, int, int], ...]:
        """Return for each kind of group: expressions, votes it has, votes that keep a pixel; none without votes."""
        return ()

    def final(self) -> str | None:
        """Return the node that the recipe submits, where it is known and stores masks."""
        return None


@dataclass(frozen=True)
class PlanSide(Side):
    """Results of a plan, of its settings alone."""

    results: Results

    def nodes(self) -> tuple[ReportNode, ...]:
        seconds = read_seconds(self.results)
        return tuple(self._describe(node, seconds.get(node.name)) for node in self.results.plan.nodes)

    def of_video(self, video: str) -> VideoSide:
        return PlanVideo(self.prefix, self.results.tasks(video), self.results.of_video(video))

    def advice(self) -> str:
        return f"run first: {self.results.command}"

    def count_votes(self, node: str, given: Iterable[GroupVoters]) -> tuple[tuple[int, int, int], ...]:
        plain = node.removeprefix(self.prefix)
        ballot = next(find_ballot(one) for one in self.results.plan.nodes if one.name == plain)
        if ballot is None:
            return ()
        weights = dict(zip(ballot.members, ballot.rule.integer_weights(), strict=True))
        votes = set()
        for group, absent in given:
            present = {name: set(group.expressions) - absent.get(self.prefix + name, set()) for name in weights}
            votes.add((len(group.expressions), sum(own * len(present[name]) for name, own in weights.items())))
        return tuple((size, total, ballot.rule.count_needed(total, size)) for size, total in sorted(votes) if total)

    def final(self) -> str | None:
        submission = self.results.plan.recipe.submission
        stored = {node.name for node in self.results.plan.nodes if node.artefact is MASKS}
        return self.prefix + submission if submission in stored else None

    def _describe(self, node: Node, seconds: float | None) -> ReportNode:
        ballot = find_ballot(node)
        return ReportNode(
            self.prefix + node.name,
            node.kind,
            node.stage or "models",
            tuple(self.prefix + name for name in node.inputs()),
            "missing" if self.results.find_missing(node.name) else "done",
            seconds,
            node.detail(),
            ballot.rule.integer_weights() if ballot is not None else (),
            only=ballot.rule.find_only(1) if ballot is not None else None,
            unit=scale_weights(ballot.rule.exact_weights())[1] if ballot is not None else 1,
            settings=_name_settings(node, ballot) if ballot is not None else (),
            content=_CONTENTS.get(node.artefact.codec.name, "other"),
            side=self.name,
        )


def _name_settings(node: Node, ballot: Ballot) -> tuple[str, str]:
    """Return what sets the threshold of groups, and of groups of one, as `--set` names it."""
    place = f"stages.{node.stage}.{node.name}"
    return f"{place}.threshold", f"{place}.{'threshold' if ballot.rule.singles is None else 'singles.threshold'}"


@dataclass(frozen=True)
class PlanVideo(VideoSide):
    """One video of a plan."""

    prefix: str
    tasks: Mapping[str, Task]
    results: VideoResults

    def _stored(self) -> Iterator[tuple[str, Task]]:
        """Yield the name on the page, and the task, of every node that is stored."""
        return ((self.prefix + name, task) for name, task in self.tasks.items() if self.results.has(name))

    def sequences(self) -> dict[str, Sequences]:
        return {
            name: by_expression(self.results.read(task.node.name, queries=True))
            for name, task in self._stored()
            if task.node.artefact is MASKS
        }

    def members(self) -> tuple[str, ...]:
        return tuple(self.prefix + name for name, task in self.tasks.items() if not task.node.inputs())

    def tracklets(self) -> dict[str, tuple[Tracklet, ...]]:
        return {
            name: self.results.read_artefact(task.node.name, task.node.artefact).tracklets
            for name, task in self._stored()
            if task.node.artefact in _TRACKLETS
        }

    def groups(self) -> dict[str, tuple[Group, ...]]:
        return {
            name: combination.find_groups(task.video, task.read)
            for name, task in self._stored()
            if (combination := capability(task.node, Combination)) is not None
        }

    def groundings(self) -> dict[str, Grounding]:
        return {
            name: replace(one, tracklets=self.prefix + one.tracklets)
            for name, task in self._stored()
            if (chooser := capability(task.node, ChoosesTracklets)) is not None
            and (one := chooser.read_grounding(task)) is not None
        }

    def refinements(self) -> dict[str, dict[str, dict[str, Any]]]:
        return {
            name: {
                given.expression.id: build_report(given, refine(given.evidence, refiner.rules))
                for given in refiner.gather(task.video, task.read_artefact)
            }
            for name, task in self._stored()
            if (refiner := capability(task.node, Refiner)) is not None
        }


@dataclass(frozen=True)
class FolderSide(Side):
    """A workspace without its recipe: masks and tracklets of any settings; what a node is, the folder does not tell."""

    store: Store

    def nodes(self) -> tuple[ReportNode, ...]:
        videos = {name: self.store.videos(name) for name in self.store.nodes()}
        found = {name: self.store.header(name, own[0]).artefact for name, own in videos.items() if own}
        return tuple(
            ReportNode(self.prefix + name, "stored", "stored", content=_CONTENTS[artefact], side=self.name)
            for name, artefact in found.items()
            if artefact in _CONTENTS
        )

    def of_video(self, video: str) -> VideoSide:
        return FolderVideo(self.prefix, self.store, video)

    def advice(self) -> str:
        return f"{self.store.workspace} holds nothing of it; name a workspace of the same videos"


@dataclass(frozen=True)
class FolderVideo(VideoSide):
    """One video of a workspace."""

    prefix: str
    store: Store
    video: str

    def sequences(self) -> dict[str, Sequences]:
        return {
            self.prefix + name: by_expression(self.store.read(name, self.video, soft=False, queries=True))
            for name in self._find(MASKS)
        }

    def tracklets(self) -> dict[str, tuple[Tracklet, ...]]:
        return {
            self.prefix + name: self.store.read_artefact(name, self.video, codec=artefact.codec).tracklets
            for artefact in _TRACKLETS
            for name in self._find(artefact)
        }

    def _find(self, artefact: Artefact) -> list[str]:
        nodes = [name for name in self.store.nodes() if self.store.has(name, self.video)]
        return [name for name in nodes if self.store.header(name, self.video).artefact == artefact.codec.name]


_TRACKLETS: tuple[Artefact, ...] = (INSTANCES, CANDIDATES)
_CONTENTS: Mapping[str, NodeContent] = {
    MASKS.codec.name: "masks",
    **{artefact.codec.name: "tracklets" for artefact in _TRACKLETS},
}
