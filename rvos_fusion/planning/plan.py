"""All tasks of a run: which nodes, which videos, and the fingerprint of everything that they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import overload

from rvos.errors import ConfigError
from rvos.formats import Dataset
from rvos.masks.stored.index import Names, name_result
from rvos.masks.stored.store import Store
from rvos.settings import Problems, count
from rvos.videos import Video
from rvos_fusion.kinds.base import Node, Task
from rvos_fusion.kinds.checksums import Checksums
from rvos_fusion.kinds.versions import Versions, list_versions
from rvos_fusion.planning.fingerprints import fingerprint_nodes
from rvos_fusion.planning.sentence_order import OrderFinding, settle_order
from rvos_fusion.recipe.graph import Graph
from rvos_fusion.recipe.recipe import Recipe


@dataclass(frozen=True, slots=True)
class NodeTasks(Sequence[Task]):
    """The tasks of a node, one for each video.

    Args:
        fingerprints: of the node and of its inputs, by name, each by video, as bytes: half of what texts take.
        versions: of all that makes its results.
    """

    node: Node
    videos: Sequence[Video]
    fingerprints: Mapping[str, Sequence[bytes]]
    workspace: Path
    device: str
    versions: Versions

    def __len__(self) -> int:
        """Return the number of videos."""
        return len(self.videos)

    @overload
    def __getitem__(self, index: int) -> Task: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Task]: ...
    def __getitem__(self, index: int | slice) -> Task | Sequence[Task]:
        """Return the task for a video."""
        places = range(len(self))[index]
        if isinstance(places, range):
            return [self[place] for place in places]
        inputs = tuple((name, self.fingerprints[name][places].hex()) for name in self.node.inputs())
        fingerprint = self.fingerprints[self.node.name][places].hex()
        return Task(self.node, self.videos[places], inputs, fingerprint, self.workspace, self.device, self.versions)


@dataclass(frozen=True, slots=True)
class Plan:
    """All tasks of a run, node by node, with the fingerprints of everything that they read.

    Args:
        videos: of every node.
        tasks: by node, one for each of the videos, in their order.
        recipe: as the order of the sentences allows; see `rvos_fusion.planning.sentence_order`.
        order: what was found about that order, for each set of nodes that tells.
    """

    recipe: Recipe
    nodes: tuple[Node, ...]
    videos: tuple[Video, ...]
    tasks: Mapping[str, Sequence[Task]]
    assumed: tuple[tuple[str, str, str], ...]
    order: tuple[OrderFinding, ...] = ()

    @property
    def places(self) -> Mapping[str, int]:
        """The place of every video."""
        return {video.id: place for place, video in enumerate(self.videos)}

    def name_results(self) -> Names:
        """Return the name of every result, by node and video."""
        return {
            (node, task.video.id): name_result(task.fingerprint) for node, own in self.tasks.items() for task in own
        }


def make_plan(
    recipe: Recipe, graph: Graph, videos: Sequence[Video], *, device: str = "auto", like: Plan | None = None
) -> Plan:
    """Return the tasks of a run; of files that did not change since they were last read, only size and time are read.

    Args:
        like: a plan of these videos that was made a moment ago: what it has in common is not looked at again.

    Raises:
        ConfigError: nodes that cannot work with these videos, such as a threshold that no vote of a group can reach.
        InputError: checkpoints or group files that cannot be read.
    """
    # One for the whole plan: a checkpoint of gigabytes is read once, not once a video.
    checksums = Checksums(recipe.workspace)
    problems = Problems(recipe.path)
    for node in recipe.nodes:
        for problem in node.check_videos(videos):
            problems.add_at(node.line, f"{node.name}: {problem}")
    problems.check()
    # Before any fingerprint, as it may change nodes: results under the wrong reading of the order would count as
    # missing.
    recipe, order = settle_order(recipe, checksums)
    # The graph was made of the recipe as it stood before.
    graph = replace(graph, nodes=tuple(recipe.node(node.name) for node in graph.nodes))
    # A stage may run alone: nodes of earlier stages are not run, but their fingerprints are part of what reads them.
    ordered = recipe.graph.order(*(node.name for node in graph.nodes))
    # Of all that makes a node's results, by node; inputs come first.
    versions: dict[str, Versions] = {}
    for node in ordered:
        below = [versions[name] for name in node.inputs()]
        versions[node.name] = {name: number for own in (list_versions(node), *below) for name, number in own.items()}
    fingerprints = {node.name: list[bytes]() for node in ordered}
    assumed: list[tuple[str, str, str]] = []
    common = {} if like is None else _find_common(ordered, like)
    for place, video in enumerate(videos):
        # Fingerprints of this video alone: another frame in one video leaves all others as they are.
        known = {name: own[place] for name, own in common.items()}
        known = fingerprint_nodes(ordered, video, checksums, known)
        for name, fingerprint in known.items():
            fingerprints[name].append(bytes.fromhex(fingerprint))
        # Results that must be there already; they are looked for before anything runs.
        assumed += [(name, video.id, known[name]) for name in graph.assumed]
    checksums.save()
    tasks = {
        node.name: NodeTasks(node, tuple(videos), fingerprints, recipe.workspace, device, versions[node.name])
        for node in graph.nodes
    }
    return Plan(recipe, graph.nodes, tuple(videos), tasks, tuple(assumed), order)


def _find_common(nodes: Sequence[Node], like: Plan) -> Mapping[str, Sequence[str]]:
    """Return the fingerprints, by video, of the nodes that a plan has too; inputs come first."""
    found: dict[str, Sequence[str]] = {}
    for node in nodes:
        is_known = node.name in like.tasks and node == like.recipe.node(node.name)
        if is_known and all(name in found for name in node.inputs()):
            found[node.name] = [task.fingerprint for task in like.tasks[node.name]]
    return found


def find_missing_inputs(plan: Plan) -> list[tuple[str, str]]:
    """Return node and video of every result of an earlier stage that is not there, or made with other settings."""
    store = Store(plan.recipe.workspace)
    return [(name, video) for name, video, fingerprint in plan.assumed if not store.has(name, video, fingerprint)]


def select_videos(
    dataset: Dataset, *, names: Sequence[str] = (), shard: tuple[int, int] | None = None
) -> tuple[Video, ...]:
    """Return the videos that are named, or all; of these every n-th from the i-th for the shard i/n.

    Raises an InputError for a name that the split does not list.
    """
    # Every n-th, not blocks of neighbours: long videos often stand together, and shards should take equally long.
    videos = tuple(dataset.video(name) for name in dict.fromkeys(names)) if names else dataset.videos
    return videos if shard is None else videos[shard[0] - 1 :: shard[1]]


def share_videos(dataset: Dataset, videos: Sequence[Video], recipe: Path) -> tuple[Video, ...]:
    """Return the videos of another recipe's data set that have the names of `videos`; ConfigError if it lacks any."""
    known = {video.id: video for video in dataset.videos}
    missing = [video.id for video in videos if video.id not in known]
    if missing:
        raise ConfigError(
            f"{recipe}: its data set lacks {len(missing)} of the {count(len(videos), 'video')}, "
            f"first {missing[0]}; name what "
            "both have with --videos"
        )
    return tuple(known[video.id] for video in videos)


def parse_shard(text: str) -> tuple[int, int]:
    """Return (i, n) of `i/n`, 1 <= i <= n; ConfigError where it has another form."""
    first, slash, second = text.partition("/")
    if slash and first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second):
        return int(first), int(second)
    raise ConfigError(f"--shard {text}: expected i/n with 1 <= i <= n, such as 2/8")
