"""Where a report's results come from: the plan of a recipe, or a workspace alone, read whatever its settings were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

from fusion.groups import Group
from propagate.refinement import refine
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.masks.stored.store import Store
from rvos.masks.tracklets import Tracklet, TrackletSet
from rvos_fusion.kinds.artefacts import CANDIDATES, INSTANCES, MASKS, Artefact
from rvos_fusion.kinds.base import Node, Task, capability
from rvos_fusion.kinds.refinement_report import build_report
from rvos_fusion.kinds.tracklet_scorers import Grounding
from rvos_fusion.planning.results import Results, VideoResults
from rvos_fusion.planning.timings import read_seconds
from rvos_fusion.report.content import NodeContent, ReportNode
from rvos_fusion.scores.fitting import Combination
from rvos_fusion.scores.refinement_sweeping import Refiner
from rvos_fusion.scores.sweeping import find_ballot

Sequences = Mapping[str, MaskSequence]


@runtime_checkable
class ChoosesTracklets(Protocol):
    """A node that scores the tracklets of a video."""

    def read_grounding(self, task: Task) -> Grounding | None:
        """Return how it scored those of a task's video; None where nothing is known of it."""


class VideoSide(Protocol):
    """The results of one video on one side; small enough to be sent to another process. Names start with the side's."""

    def sequences(self) -> dict[str, Sequences]:
        """Return the masks of every stored node by expression.

        Raises:
            StoreError: a stored result is damaged.
        """

    def members(self) -> tuple[str, ...]:
        """Return the nodes that read no others."""

    def tracklets(self) -> dict[str, tuple[Tracklet, ...]]:
        """Return the instances of every node that stores some."""

    def groups(self) -> dict[str, tuple[Group, ...]]:
        """Return the groups of every stored node that has some."""

    def groundings(self) -> dict[str, Grounding]:
        """Return how nodes scored tracklets, as far as that was written down."""

    def refinements(self) -> dict[str, dict[str, dict[str, Any]]]:
        """Return the record of every refining node by expression; it is counted again from what is stored."""


class Side(Protocol):
    """One side of a report."""

    @property
    def name(self) -> str:
        """What its nodes' names start with; empty where there is no other side."""

    def nodes(self) -> tuple[ReportNode, ...]:
        """Return the graph; a node is done when every video is stored."""

    def of_video(self, video: str) -> VideoSide:
        """Return the results of a video."""

    def count_votes(self, node: str, sizes: Sequence[int]) -> tuple[tuple[int, int, int], ...]:
        """Return for groups of these sizes: expressions, votes it has, votes that keep a pixel; none without votes."""

    def final(self) -> str | None:
        """Return the node that the recipe submits, where it is known and stores masks."""

    def advice(self) -> str:
        """Return what to do where nothing is stored."""


@dataclass(frozen=True, slots=True)
class PlanSide:
    """Results of a plan, of its settings alone; `name` is empty where there is no other side."""

    name: str
    results: Results

    def nodes(self) -> tuple[ReportNode, ...]:
        """See `Side`."""
        seconds = read_seconds(self.results.plan.recipe.workspace)
        return tuple(self._describe(node, seconds.get(node.name)) for node in self.results.plan.nodes)

    def of_video(self, video: str) -> PlanVideo:
        """See `Side`."""
        return PlanVideo(_prefix(self.name), self.results.tasks(video), self.results.of_video(video))

    def advice(self) -> str:
        """See `Side`."""
        return f"run first: {self.results.command}"

    def count_votes(self, node: str, sizes: Sequence[int]) -> tuple[tuple[int, int, int], ...]:
        """See `Side`."""
        plain = node.removeprefix(_prefix(self.name))
        ballot = next(find_ballot(one) for one in self.results.plan.nodes if one.name == plain)
        return () if ballot is None else tuple((size, *ballot.rule.count_votes(size)) for size in sizes)

    def final(self) -> str | None:
        """See `Side`."""
        submission = self.results.plan.recipe.submission
        stored = {node.name for node in self.results.plan.nodes if node.artefact is MASKS}
        return _prefix(self.name) + submission if submission in stored else None

    def _describe(self, node: Node, seconds: float | None) -> ReportNode:
        ballot = find_ballot(node)
        singles = ballot.rule.singles if ballot is not None else None
        content = _CONTENTS.get(node.artefact.codec.name, "other")
        return ReportNode(
            _prefix(self.name) + node.name,
            node.kind,
            node.stage or "models",
            tuple(_prefix(self.name) + name for name in node.inputs()),
            "missing" if self.results.find_missing(node.name) else "done",
            seconds,
            node.detail(),
            ballot.rule.integer_weights() if ballot is not None else (),
            only=singles.only if singles is not None else None,
            content=content,
            side=self.name,
        )


@dataclass(frozen=True, slots=True)
class PlanVideo:
    """One video of a plan; see `VideoSide`."""

    prefix: str
    tasks: Mapping[str, Task]
    results: VideoResults

    def sequences(self) -> dict[str, Sequences]:
        """See `VideoSide`."""
        return {
            self.prefix + name: self.results.by_expression(name)
            for name, task in self.tasks.items()
            if task.node.artefact is MASKS and self.results.has(name)
        }

    def members(self) -> tuple[str, ...]:
        """See `VideoSide`."""
        return tuple(self.prefix + name for name, task in self.tasks.items() if not task.node.inputs())

    def tracklets(self) -> dict[str, tuple[Tracklet, ...]]:
        """See `VideoSide`."""
        return {
            self.prefix + name: _list_tracklets(self.results.read_artefact(name, task.node.artefact))
            for name, task in self.tasks.items()
            if task.node.artefact in _TRACKLETS and self.results.has(name)
        }

    def groups(self) -> dict[str, tuple[Group, ...]]:
        """See `VideoSide`."""
        found = {}
        for name, task in self.tasks.items():
            combination = capability(task.node, Combination)
            if combination is not None and self.results.has(name):
                found[self.prefix + name] = combination.find_groups(task.video, task.read)
        return found

    def groundings(self) -> dict[str, Grounding]:
        """See `VideoSide`."""
        found = {}
        for name, task in self.tasks.items():
            chooser = capability(task.node, ChoosesTracklets)
            if chooser is not None and self.results.has(name) and (one := chooser.read_grounding(task)) is not None:
                found[self.prefix + name] = replace(one, tracklets=self.prefix + one.tracklets)
        return found

    def refinements(self) -> dict[str, dict[str, dict[str, Any]]]:
        """See `VideoSide`."""
        found = {}
        for name, task in self.tasks.items():
            refiner = capability(task.node, Refiner)
            if refiner is not None and self.results.has(name):
                found[self.prefix + name] = {
                    given.expression.id: build_report(given, refine(given.evidence, refiner.rules))
                    for given in refiner.gather(task.video, task.read_artefact)
                }
        return found


@dataclass(frozen=True, slots=True)
class FolderSide:
    """A workspace without its recipe: masks and tracklets of any settings."""

    name: str
    store: Store

    def nodes(self) -> tuple[ReportNode, ...]:
        """See `Side`; what a node is, the folder does not tell."""
        return tuple(
            ReportNode(_prefix(self.name) + name, "stored", "stored", content=content, side=self.name)
            for name in self.store.nodes()
            if (content := self._content(name)) is not None
        )

    def of_video(self, video: str) -> FolderVideo:
        """See `Side`."""
        return FolderVideo(_prefix(self.name), self.store, video)

    def count_votes(self, node: str, sizes: Sequence[int]) -> tuple[tuple[int, int, int], ...]:
        """See `Side`; nobody knows."""
        return ()

    def final(self) -> str | None:
        """See `Side`; nobody knows."""
        return None

    def advice(self) -> str:
        """See `Side`."""
        return f"{self.store.workspace} holds nothing of it; name a workspace of the same videos"

    def _content(self, node: str) -> NodeContent | None:
        videos = self.store.videos(node)
        if not videos:
            return None
        return _CONTENTS.get(self.store.header(node, videos[0]).artefact)


@dataclass(frozen=True, slots=True)
class FolderVideo:
    """One video of a workspace; see `VideoSide`."""

    prefix: str
    store: Store
    video: str

    def sequences(self) -> dict[str, Sequences]:
        """See `VideoSide`."""
        return {
            self.prefix + name: by_expression(self.store.read(name, self.video, soft=False))
            for name in self._find(MASKS.codec.name)
        }

    def members(self) -> tuple[str, ...]:
        """See `VideoSide`; nobody knows."""
        return ()

    def tracklets(self) -> dict[str, tuple[Tracklet, ...]]:
        """See `VideoSide`."""
        return {
            self.prefix + name: _list_tracklets(self.store.read_artefact(name, self.video, codec=artefact.codec))
            for artefact in _TRACKLETS
            for name in self._find(artefact.codec.name)
        }

    def groups(self) -> dict[str, tuple[Group, ...]]:
        """See `VideoSide`; they are not stored."""
        return {}

    def groundings(self) -> dict[str, Grounding]:
        """See `VideoSide`; whether they belong to what is stored, only a recipe tells."""
        return {}

    def refinements(self) -> dict[str, dict[str, dict[str, Any]]]:
        """See `VideoSide`; they are not stored."""
        return {}

    def _find(self, artefact: str) -> list[str]:
        return [
            name
            for name in self.store.nodes()
            if self.store.has(name, self.video) and self.store.header(name, self.video).artefact == artefact
        ]


_TRACKLETS: tuple[Artefact, ...] = (INSTANCES, CANDIDATES)
_CONTENTS: Mapping[str, NodeContent] = {
    MASKS.codec.name: "masks",
    **{artefact.codec.name: "tracklets" for artefact in _TRACKLETS},
}


def _list_tracklets(value: TrackletSet | Sequence[Tracklet]) -> tuple[Tracklet, ...]:
    return value.tracklets if isinstance(value, TrackletSet) else tuple(value)


def _prefix(name: str) -> str:
    return f"{name}/" if name else ""
