"""All tasks of a run: which nodes, which videos, and the fingerprint of everything that they read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fusion.groups import Group, group_by_object, group_neighbours, group_none, read_group_file
from pipeline.fingerprints import Checksums, fingerprint_task
from pipeline.graph import Graph, check_reach
from pipeline.recipe import FuseNode, GroupsEntry, Node, Recipe
from pipeline.tasks import Task
from rvos.datasets import Dataset
from rvos.errors import ConfigError
from rvos.store import Store
from rvos.videos import Video

VideoGroups = Mapping[str, tuple[Group, ...]]


@dataclass(frozen=True, slots=True)
class Plan:
    """All tasks of a run, node by node, with the fingerprints of everything that they read."""

    recipe: Recipe
    nodes: tuple[Node, ...]
    tasks: Mapping[str, tuple[Task, ...]]
    assumed: tuple[tuple[str, str, str], ...]


def make_plan(
    recipe: Recipe,
    graph: Graph,
    videos: Sequence[Video],
    *,
    device: str = "auto",
    remember: bool = True,
) -> Plan:
    """Return the tasks of a run; only file sizes, times and checkpoints' checksums are read.

    Args:
        remember: keep the checksums in the workspace.

    Raises:
        ConfigError: a threshold that no vote of a group can reach.
        InputError: groups that the data set does not give, or checkpoints that cannot be read.
    """
    checksums = Checksums(recipe.workspace)
    groups = {node.name: group_videos(node.groups, videos) for node in recipe.nodes if isinstance(node, FuseNode)}
    _check_groups(recipe, groups)
    ordered = _add_ancestors(recipe, graph)
    names = {node.name for node in graph.nodes}
    tasks: dict[str, list[Task]] = {node.name: [] for node in graph.nodes}
    assumed: list[tuple[str, str, str]] = []
    for video in videos:
        known: dict[str, str] = {}
        for node in ordered:
            own = groups.get(node.name, {}).get(video.id, ())
            known[node.name] = fingerprint_task(node, video, inputs=known, groups=own, checksums=checksums)
            inputs = tuple((name, known[name]) for name in node.inputs)
            if node.name in names:
                task = Task(node, video, inputs, own, known[node.name], recipe.workspace, device)
                tasks[node.name].append(task)
            elif node.name in graph.assumed:
                assumed.append((node.name, video.id, known[node.name]))
    if remember:
        checksums.save()
    return Plan(recipe, graph.nodes, {name: tuple(found) for name, found in tasks.items()}, tuple(assumed))


def find_missing_inputs(plan: Plan) -> list[tuple[str, str]]:
    """Return node and video of every result of an earlier stage that is not there, or made with other settings."""
    store = Store(plan.recipe.workspace)
    return [(name, video) for name, video, fingerprint in plan.assumed if not store.has(name, video, fingerprint)]


def group_videos(entry: GroupsEntry, videos: Sequence[Video]) -> VideoGroups:
    """Return the groups of every video where they are given by the data, and none where masks decide.

    Raises:
        InputError: the data set or the group file does not give them.
    """
    if entry.by == "agreement":
        return {}
    if entry.by == "file":
        assert entry.file is not None
        return read_group_file(entry.file, videos)
    group = {"object_id": group_by_object, "neighbours": group_neighbours, "none": group_none}[entry.by]
    return {video.id: group(video) for video in videos}


def select_videos(
    dataset: Dataset, *, names: Sequence[str] = (), shard: tuple[int, int] | None = None
) -> tuple[Video, ...]:
    """Return the videos that are named, or all; of these every n-th from the i-th for the shard i/n.

    Raises:
        InputError: a name that the split does not list.
    """
    videos = tuple(dataset.video(name) for name in dict.fromkeys(names)) if names else dataset.videos
    return videos if shard is None else videos[shard[0] - 1 :: shard[1]]


def parse_shard(text: str) -> tuple[int, int]:
    """Return (i, n) of `i/n`, 1 <= i <= n.

    Raises:
        ConfigError: another form.
    """
    first, slash, second = text.partition("/")
    if slash and first.isdecimal() and second.isdecimal() and 1 <= int(first) <= int(second):
        return int(first), int(second)
    raise ConfigError(f"--shard {text}: expected i/n with 1 <= i <= n, such as 2/8")


def _check_groups(recipe: Recipe, groups: Mapping[str, VideoGroups]) -> None:
    for node in recipe.nodes:
        if isinstance(node, FuseNode):
            for video, found in groups[node.name].items():
                check_reach(node, found, recipe, video)


def _add_ancestors(recipe: Recipe, graph: Graph) -> list[Node]:
    """Return the graph's nodes and everything they stand on, inputs first."""
    ordered: dict[str, Node] = {}

    def visit(node: Node) -> None:
        if node.name not in ordered:
            for name in node.inputs:
                visit(recipe.node(name))
            ordered[node.name] = node

    for node in graph.nodes:
        visit(node)
    return list(ordered.values())
