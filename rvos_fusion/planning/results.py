"""Results that know their settings: what a plan's nodes stored with the plan's fingerprints, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from rvos.errors import ConfigError, StoreError
from rvos.masks.mask_sequences import MaskSequence, by_expression
from rvos.masks.stored.store import Store
from rvos.settings import count, nearest
from rvos.videos import Video
from rvos_fusion.kinds.artefacts import MASKS, Artefact
from rvos_fusion.kinds.base import Task
from rvos_fusion.planning.plan import Plan, make_plan
from rvos_fusion.recipe.graph import Graph, build_graph
from rvos_fusion.recipe.recipe import Recipe


@dataclass(frozen=True, slots=True)
class VideoResults:
    """The results of one video, by node, small enough to be sent elsewhere; `command` makes what is missing."""

    store: Store
    video: str
    fingerprints: Mapping[str, str]
    command: str
    # Travels along: a file that was looked into is not looked into again, in no process.
    _is_there: dict[str, bool] = field(default_factory=dict)

    def has(self, node: str) -> bool:
        """Tell whether the node's result was there, whole and of the plan's settings, when this was first asked."""
        if node not in self._is_there:
            self._is_there[node] = self.store.has(node, self.video, self.fingerprints[node])
        return self._is_there[node]

    def size(self, node: str) -> int:
        """Return the bytes of a result that is there."""
        return self.store.find_place(node, self.video, self.fingerprints[node]).stat().st_size

    def read(self, node: str, *, soft: bool = False, queries: bool = False) -> tuple[MaskSequence, ...]:
        """Return the masks of a node; StoreError, with the command that makes it, where it is missing or damaged."""
        try:
            return self.store.read(node, self.video, self.fingerprints[node], soft=soft, queries=queries)
        except StoreError as error:
            # The store advises to run the recipe; here the command is known, with its options.
            raise StoreError(f"{str(error).rpartition(';')[0]}; run first: {self.command}") from None

    def read_artefact(self, node: str, artefact: Artefact) -> Any:
        """Return what a node stored, of any sort; raises as `read` does."""
        try:
            return self.store.read_artefact(node, self.video, self.fingerprints[node], codec=artefact.codec)
        except StoreError as error:
            raise StoreError(f"{str(error).rpartition(';')[0]}; run first: {self.command}") from None

    def by_expression(self, node: str, *, soft: bool = False) -> dict[str, MaskSequence]:
        """Return the masks of a node by expression; raises as `read` does."""
        return by_expression(self.read(node, soft=soft))


class Results:
    """What a plan's nodes stored. A result of other settings counts as missing.

    It serves one command: whether a file is there and whole is found once, and each task is made once.

    Args:
        plan: with the videos that are asked about.
        options: of the command that makes what is missing: recipe, workspace and `--set`; default: the recipe's path.
    """

    def __init__(self, plan: Plan, options: str | None = None) -> None:
        self.plan = plan
        self.store = Store(plan.recipe.workspace)
        self.options = options
        self.command = f"rvos run {options or plan.recipe.path}"
        self._places = plan.places
        self._tasks: dict[str, dict[str, Task]] = {}
        self._of_video: dict[str, VideoResults] = {}

    def tasks(self, video: str) -> Mapping[str, Task]:
        """Return the tasks of one video of the plan by node."""
        if video not in self._tasks:
            place = self._places[video]
            self._tasks[video] = {name: tasks[place] for name, tasks in self.plan.tasks.items()}
        return self._tasks[video]

    def of_video(self, video: str) -> VideoResults:
        """Return the results of one video of the plan."""
        if video not in self._of_video:
            fingerprints = {name: task.fingerprint for name, task in self.tasks(video).items()}
            self._of_video[video] = VideoResults(self.store, video, fingerprints, self.command)
        return self._of_video[video]

    def find_missing(self, node: str) -> list[str]:
        """Return the videos of the plan that the node has no result for."""
        return [video for video in self._places if not self.of_video(video).has(node)]

    def require(self, nodes: Iterable[str]) -> None:
        """Refuse, by a StoreError with the command that makes them, nodes that lack results for videos of the plan."""
        for node in nodes:
            missing = self.find_missing(node)
            if missing:
                raise StoreError(
                    f"{self.store.workspace}: {node} is missing, or made with other settings, for {len(missing)} of "
                    f"{count(len(self._places), 'video')}, first {missing[0]}; run first: {self.command}"
                )

    def choose_nodes(self, names: Sequence[str]) -> list[str]:
        """Return the named nodes, whose results are all there, or else all, finished or not, in the plan's order.

        Raises a ConfigError for unknown names or no result at all, a StoreError where a named node lacks results.
        """
        recipe = self.plan.recipe
        known = [node.name for node in self.plan.nodes if node.artefact is MASKS]
        for name in names:
            if name not in known:
                raise ConfigError(f"{recipe.path}: no node {name!r}; {nearest(name, known)}")
        if names:
            self.require(names)
            return list(dict.fromkeys(names))
        if all(len(self.find_missing(name)) == len(self._places) for name in known):
            raise ConfigError(f"{recipe.workspace}: no node has a result of these settings; run first: {self.command}")
        return known

    def find_inputs(self, nodes: Sequence[str]) -> list[str]:
        """Return the inputs of the last of these nodes that store masks and are none of them."""
        inputs = next(node.inputs() for node in self.plan.nodes if node.name == nodes[-1])
        stored = {node.name for node in self.plan.nodes if node.artefact is MASKS}
        return [name for name in inputs if name in stored - set(nodes)]

    def choose_submission(self, name: str | None) -> str:
        """Return the node to submit: the named one, or the recipe's; ConfigError where there is none.

        Raises a StoreError where no stage needs the node, so that it was never run.
        """
        recipe = self.plan.recipe
        known = [node.name for node in recipe.nodes if node.artefact is MASKS]
        chosen = name or recipe.submission
        if chosen is None:
            raise ConfigError(f"{recipe.path}: no submission.node; add it, or give --node")
        if chosen not in known:
            raise ConfigError(f"{recipe.path}: no node {chosen!r}; {nearest(chosen, known)}")
        if chosen not in self.plan.tasks:
            raise StoreError(f"{recipe.path}: no stage needs node {chosen}, so it was not run; add it to a stage")
        return chosen


def open_results(recipe: Recipe, videos: Sequence[Video], options: str | None = None) -> Results:
    """Return what all nodes of a recipe stored for these videos; `options` as in `Results`."""
    return Results(make_plan(recipe, build_graph(recipe), videos), options)


def open_all_results(recipe: Recipe, videos: Sequence[Video], options: str | None = None) -> Results:
    """Return the same, with the models that no stage reads: they may be there, or be made by `rvos run --node`."""
    build_graph(recipe)  # refuses what is wrong with it
    return Results(make_plan(recipe, Graph(recipe.graph.order(), (), ()), videos), options)
